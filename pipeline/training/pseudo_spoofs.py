"""Pseudo-spoofs: processed copies of the bonafide clips of a batch, made on the device, new at every step.

A corpus has few synthesisers, but all of them change speech in a few ways. Each method here applies one of them to a
bonafide clip with random parameters: coarse spectra, smoothed envelopes with another excitation, lost phase, a
loudspeaker in a room. The copy has the words, voice and channel of its original in the batch, so only the processing
is left to learn from, as with self-blended images of forged faces (Shiohara & Yamasaki 2022).
"""

from collections.abc import Callable
from functools import partial

import keras
import numpy as np
import scipy.fft
import tensorflow as tf

from pipeline.config import SAMPLE_RATE_HZ
from pipeline.errors import ConfigError
from pipeline.network.augmentation import band_pass

FRAME, HOP = 512, 128
BINS = FRAME // 2 + 1
MEL_BANDS = (24, 40, 64, 80)
LIFTERS = (12, 40)
"""Range of the number of cepstral coefficients that describe an envelope."""
PITCH_HZ = (80.0, 260.0)
PHASE_ROUNDS = 4
"""Iterations of Griffin and Lim (1984) from random phase: few, so that traces stay."""
SHORTEST_RT60_S, LONGEST_RT60_S = 0.08, 0.6
SEEDS_A_METHOD = 30
"""More than a method uses, so that no two draws of a batch are alike."""


class PseudoSpoofing(keras.Model):
    """A built model, trained on batches in which ``share`` of the spoofs are pseudo-spoofs.

    The seed of a draw follows the number of the step, so a training resumed after a kill sees the batches it would have
    seen. Weights and inference are those of the given model.

    Parameters
    ----------
    batch_size : clips of a whole batch, over all devices.
    """

    def __init__(self, model: keras.Model, *, share: float, seed: int, batch_size: int):
        if not 0 < share <= 1:
            raise ConfigError(f"--pseudo_spoofs {share:g}: expected 0 to 1")
        super().__init__(inputs=model.inputs, outputs=model.outputs, name=model.name)
        self.share = share
        self.seed = seed
        self.batch_size = batch_size // model.distribute_strategy.num_replicas_in_sync

    def train_step(self, data):
        waves, labels = data
        step = tf.cast(self.optimizer.iterations, tf.int32)
        seed = tf.stack([self.seed, 1000 * step])
        waves = replace(waves, labels, share=self.share, seed=seed, batch_size=self.batch_size)
        return super().train_step((waves, labels))


def replace(waves: tf.Tensor, labels: tf.Tensor, *, share: float, seed: tf.Tensor, batch_size: int) -> tf.Tensor:
    """Replace a share of the spoofs of a batch by processed copies of its bonafide clips.

    As many copies are made as a whole batch with half of each class needs, so that no shape depends on the labels; the
    copies that are too many are dropped.

    Parameters
    ----------
    waves : ``[batch, samples]`` float32.
    labels : ``[batch, 1]``, 1 = bonafide; the same for the result.
    share : of the spoofs, 0 to 1.
    seed : ``[2]`` int32; the same seed gives the same batch.
    batch_size : clips of a whole batch; the last one of an epoch may be smaller.
    """
    most = round(share * (batch_size // 2))
    if not most:
        return waves
    bonafide = labels[:, 0] > 0.5
    voices, spoofs = (_shuffled(chosen, seed + i) for i, chosen in enumerate((bonafide, ~bonafide)))  # (batch,) each
    pairs = tf.minimum(_count(bonafide), _count(~bonafide))
    count = tf.cast(tf.round(share * tf.cast(pairs, tf.float32)), tf.int32)
    places = tf.range(most)
    within = tf.minimum(places, tf.size(spoofs) - 1)
    clips = tf.gather(waves, tf.gather(voices, within))  # (most, samples)
    others = tf.gather(waves, tf.gather(voices, (places + 1) % tf.maximum(_count(bonafide), 1)))
    spoofs = tf.gather(spoofs, within)
    made = tf.where((places < count)[:, None], process(clips, others, seed=seed), tf.gather(waves, spoofs))
    return tf.tensor_scatter_nd_update(waves, spoofs[:, None], made)


def _shuffled(chosen: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Indexes of the chosen in random order, then those of the others, ``[batch]``."""
    drawn = tf.random.stateless_uniform(tf.shape(chosen), seed)
    return tf.argsort(tf.where(chosen, drawn, 2.0))


def _count(chosen: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(chosen, tf.int32))


def process(waves: tf.Tensor, others: tf.Tensor, *, seed: tf.Tensor) -> tf.Tensor:
    """Process each wave by one of the methods and keep its level; ``others`` are other voices, ``[clips, samples]``.

    The methods take turns and the seed chooses the first, so each gets its share even with few clips per step. The
    number of clips has to be known when the step is compiled.
    """
    clips, count = waves.shape[0], len(METHODS)
    begin = tf.random.stateless_uniform([], seed + 2, 0, count, tf.int32)
    seeds = [seed + SEEDS_A_METHOD * (number + 1) for number in range(count)]
    if 2 * clips < count:  # every method on one clip would cost more than a branch for each clip

        def one(clip: tf.Tensor) -> tf.Tensor:
            given = waves[clip, None], others[clip, None]
            turns = [partial(method, *given, own) for method, own in zip(METHODS, seeds, strict=True)]
            return tf.switch_case((begin + clip) % count, turns)[0]

        made = tf.map_fn(one, tf.range(clips), fn_output_signature=tf.TensorSpec(waves.shape[1:], tf.float32))
    else:
        turns, rows, made = -(-clips // count), tf.range(clips), []
        for number, (method, own) in enumerate(zip(METHODS, seeds, strict=True)):
            mine = tf.minimum((number - begin) % count + count * tf.range(turns), clips - 1)  # (turns,)
            made.append(method(tf.gather(waves, mine), tf.gather(others, mine), own))
        made = tf.gather(tf.concat(made, 0), (begin + rows) % count * turns + rows // count)
    level = tf.math.divide_no_nan(_rms(waves), _rms(made))
    return tf.clip_by_value(made * level, -1.0, 1.0)


def coarse_spectrum(waves: tf.Tensor, _: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Reduce the spectrum to few mel bands and back, keeping the phase: the loss of a vocoder's acoustic features."""
    import librosa

    projections = []
    for bands in MEL_BANDS:
        filters = librosa.filters.mel(sr=SAMPLE_RATE_HZ, n_fft=FRAME, n_mels=bands, norm=None)
        filters = filters[filters.sum(axis=1) > 0]
        # Mean of each band, spread over its bins again by the same triangles.
        means = filters / filters.sum(axis=1, keepdims=True)
        shares = filters / np.maximum(filters.sum(axis=0, keepdims=True), 1e-6)
        projections.append((means.T @ shares).astype(np.float32))  # (bins, bins)
    which = tf.random.stateless_uniform([tf.shape(waves)[0]], seed, 0, len(MEL_BANDS), tf.int32)
    spectrum = _stft(waves)  # (clips, frames, bins)
    power = tf.matmul(tf.square(tf.abs(spectrum)), tf.gather(tf.stack(projections), which))
    return _istft(_with_phase_of(tf.sqrt(power), spectrum), waves)


def other_excitation(waves: tf.Tensor, _: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Excite the smoothed envelope with pulses at one pitch mixed with noise: a source-filter vocoder."""
    clips, samples = tf.shape(waves)[0], tf.shape(waves)[1]
    pitch_hz = tf.random.stateless_uniform([clips, 1], seed, *PITCH_HZ)
    glide = tf.random.stateless_uniform([clips, 1], seed + 1, -0.25, 0.25)
    time_s = tf.cast(tf.range(samples), tf.float32)[None] / SAMPLE_RATE_HZ
    length_s = tf.cast(samples, tf.float32) / SAMPLE_RATE_HZ
    phase = pitch_hz * time_s * (1.0 + glide * time_s / (2.0 * length_s))
    turns = tf.math.floor(phase)
    pulses = tf.cast(turns[:, 1:] > turns[:, :-1], tf.float32) * tf.sqrt(SAMPLE_RATE_HZ / pitch_hz)
    pulses = tf.pad(pulses, [[0, 0], [1, 0]])
    breath = tf.random.stateless_uniform([clips, 1], seed + 2, 0.05, 1.0)
    source = pulses * (1.0 - breath) + breath * tf.random.stateless_normal(tf.shape(waves), seed + 3)
    envelope = _envelope(tf.abs(_stft(waves)), seed + 4)
    return _istft(tf.complex(envelope, 0.0) * _flat(_stft(source), seed + 5), waves)


def swapped_excitation(waves: tf.Tensor, others: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Put the smoothed envelope of each clip on the excitation of another (its own if the batch has no other)."""
    envelope = _envelope(tf.abs(_stft(waves)), seed + 1)
    return _istft(tf.complex(envelope, 0.0) * _flat(_stft(others), seed), waves)


def smoothed_envelope(waves: tf.Tensor, _: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Smooth the envelope and keep the excitation, as the averaging of a statistical model does."""
    spectrum = _stft(waves)
    rough, smooth = (_envelope(tf.abs(spectrum), seed, over_frames=n) for n in (1, 5))
    return _istft(spectrum * tf.complex(smooth / rough, 0.0), waves)


def lost_phase(waves: tf.Tensor, _: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Keep the magnitudes and find a phase by a few rounds of Griffin and Lim."""
    magnitude = tf.abs(_stft(waves))
    angle = tf.random.stateless_uniform(tf.shape(magnitude), seed, -np.pi, np.pi)
    made = _istft(tf.cast(magnitude, tf.complex64) * tf.exp(tf.complex(0.0, angle)), waves)
    for _ in range(PHASE_ROUNDS):
        made = _istft(_with_phase_of(magnitude, _stft(made)), waves)
    return made


def replayed(waves: tf.Tensor, _: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Play through a loudspeaker (band, soft clipping), a room and a recorder (band, noise)."""
    clips, samples = tf.shape(waves)[0], tf.shape(waves)[1]
    drive = tf.random.stateless_uniform([clips, 1], seed, 0.5, 4.0)
    peak = tf.reduce_max(tf.abs(waves), axis=1, keepdims=True) + 1e-9
    played = tf.tanh(drive * _band(waves, seed + 1, low_hz=(120.0, 500.0), high_hz=(3500.0, 8000.0)) / peak)
    rt60_s = tf.random.stateless_uniform([clips, 1], seed + 3, SHORTEST_RT60_S, LONGEST_RT60_S)
    direct_db = tf.random.stateless_uniform([clips, 1], seed + 4, -6.0, 12.0)
    length = int(LONGEST_RT60_S * SAMPLE_RATE_HZ)
    time_s = tf.range(length, dtype=tf.float32)[None] / SAMPLE_RATE_HZ
    tail = tf.random.stateless_normal([clips, length], seed + 5) * tf.exp(-np.log(1000.0) * time_s / rt60_s)
    tail *= 10.0 ** (-direct_db / 20.0) / tf.sqrt(tf.reduce_sum(tail**2, axis=1, keepdims=True))
    recorded = played + _convolve(played, tail)[:, :samples]
    snr_db = tf.random.stateless_uniform([clips, 1], seed + 6, 15.0, 40.0)
    noise = tf.random.stateless_normal(tf.shape(waves), seed + 7) * _rms(recorded) * 10.0 ** (-snr_db / 20.0)
    return _band(recorded + noise, seed + 8, low_hz=(40.0, 200.0), high_hz=(4500.0, 8000.0))


METHODS: tuple[Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor], ...] = (
    replayed,
    coarse_spectrum,
    other_excitation,
    lost_phase,
    smoothed_envelope,
    replayed,
    swapped_excitation,
)


def _stft(waves: tf.Tensor) -> tf.Tensor:
    padded = tf.pad(waves, [[0, 0], [FRAME, FRAME]])
    return tf.signal.stft(padded, FRAME, HOP)  # (clips, frames, bins)


def _istft(spectrum: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    made = tf.signal.inverse_stft(
        spectrum, FRAME, HOP, window_fn=tf.signal.inverse_stft_window_fn(HOP, tf.signal.hann_window)
    )
    missing = tf.maximum(FRAME + tf.shape(like)[1] - tf.shape(made)[1], 0)
    return tf.pad(made, [[0, 0], [0, missing]])[:, FRAME : FRAME + tf.shape(like)[1]]


def _with_phase_of(magnitude: tf.Tensor, spectrum: tf.Tensor) -> tf.Tensor:
    """``magnitude`` with the phase of ``spectrum``; silent where that is silent."""
    size = tf.cast(tf.abs(spectrum), tf.complex64)
    return tf.cast(magnitude, tf.complex64) * tf.math.divide_no_nan(spectrum, size)


def _envelope(magnitude: tf.Tensor, seed: tf.Tensor, over_frames: int = 1) -> tf.Tensor:
    """Cepstrally smoothed magnitude ``[clips, frames, bins]``, averaged over ``over_frames``."""
    # A matrix product: transforms of this odd length are slow.
    cosines = scipy.fft.dct(np.eye(BINS, dtype=np.float32), type=2, norm="ortho", axis=0)  # orthonormal
    logarithm = tf.math.log(magnitude + 1e-5)
    if over_frames > 1:
        logarithm = tf.nn.avg_pool1d(logarithm, over_frames, 1, "SAME")
    cepstrum = tf.matmul(logarithm, cosines, transpose_b=True)
    kept = tf.random.stateless_uniform([tf.shape(magnitude)[0], 1, 1], seed, *LIFTERS)
    # A soft edge: a hard one rings through the spectrum.
    lifter = tf.sigmoid((kept - tf.range(BINS, dtype=tf.float32)[None, None]) / 2.0)
    return tf.exp(tf.matmul(cepstrum * lifter, cosines))


def _flat(spectrum: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    return spectrum / tf.complex(_envelope(tf.abs(spectrum), seed), 0.0)


def _band(waves: tf.Tensor, seed: tf.Tensor, *, low_hz: tuple[float, float], high_hz: tuple[float, float]) -> tf.Tensor:
    """Band-pass of second to sixth order, edges drawn evenly in the logarithm of the frequency."""
    clips, samples = tf.shape(waves)[0], tf.shape(waves)[1]
    order = tf.random.stateless_uniform([clips, 1], seed, 2.0, 6.0)
    low, high = (
        tf.exp(tf.random.stateless_uniform([clips, 1], seed + 11 + i, *np.log(edges)))
        for i, edges in enumerate((low_hz, high_hz))
    )
    gain = band_pass.gain(samples, low, high, (order, order))
    return tf.signal.irfft(tf.signal.rfft(waves) * tf.complex(gain, 0.0), [samples])


def _convolve(waves: tf.Tensor, response: tf.Tensor) -> tf.Tensor:
    length = [tf.shape(waves)[1] + tf.shape(response)[1]]
    return tf.signal.irfft(tf.signal.rfft(waves, length) * tf.signal.rfft(response, length), length)


def _rms(waves: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.reduce_mean(tf.square(waves), axis=1, keepdims=True) + 1e-12)
