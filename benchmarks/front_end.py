"""``front_end``: the log-mel front end in the network against ``librosa.feature.melspectrogram`` in one process.

Both sides get the same clips, in a process prepared for training. The front end ends in normalised decibels, librosa's
function in powers. The Fourier transforms of all frames alone, on all cores, are the limit of any front end that
computes them.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks import compared
from benchmarks.compared import Figure, Line
from pipeline import cli
from pipeline.common import parallel
from pipeline.config import SAMPLE_RATE_HZ, Config, option
from pipeline.training import devices

SECTIONS = ("front_end",)


@dataclass(frozen=True)
class Options(compared.Options):
    """Number and length of the clips."""

    clips: int = option(512, "clips per round")
    clip_s: float = option(4.0, "seconds of each")
    batch: int = option(32, "clips per batch")


QUICK = {"clips": 8, "clip_s": 1.0}


def measure(config: Config, options: Options) -> Line:
    """Time all three."""
    devices.prepare(config)
    import keras
    import librosa
    import tensorflow as tf
    from scipy import fft

    from pipeline.network import front_end as frontend

    settings = config.front_end
    samples = round(options.clip_s * SAMPLE_RATE_HZ)
    clips = np.random.default_rng(0).normal(0, 0.1, (options.clips, samples)).astype(np.float32)
    waveform = keras.Input((samples,))
    model = keras.Model(waveform, frontend.spectrogram(waveform, settings))
    front_end = tf.function(lambda x: model(x, training=False))
    parts = [tf.constant(clips[i : i + options.batch]) for i in range(0, len(clips), options.batch)]

    def ours() -> None:
        for part in parts:
            front_end(part).numpy()

    def librosa_mel() -> None:
        for clip in clips:
            librosa.feature.melspectrogram(
                y=clip,
                sr=SAMPLE_RATE_HZ,
                n_fft=settings.n_fft,
                hop_length=settings.hop_samples,
                n_mels=settings.n_mels,
                fmin=settings.fmin_hz,
                fmax=settings.fmax_hz,
            )

    hops = np.lib.stride_tricks.sliding_window_view(clips, settings.n_fft, axis=1)[:, :: settings.hop_samples]
    frames = [np.ascontiguousarray(hops[i : i + options.batch]) for i in range(0, len(clips), options.batch)]

    def limit() -> None:
        for part in frames:
            fft.rfft(part, workers=parallel.cores())

    ours(), librosa_mel(), limit()  # compile, and build librosa's filters
    contenders = {
        "log-mel front end": ours,
        "librosa.feature.melspectrogram": librosa_mel,
        f"Fourier transforms alone, {parallel.cores()} threads": limit,
    }
    taken = compared.alternate(contenders, repetitions=options.repetitions)
    first, second, third = taken.values()
    note = (
        f"{options.clips} clips of {options.clip_s:g} s, {settings.n_mels} bands, n_fft {settings.n_fft}, "
        f"hop {settings.hop_samples}, {parallel.cores()} cores"
    )
    figures = [
        Figure(
            *("× librosa's clips/s", compared.ratios(second, first), 10),
            limits=compared.ratios(second, third),
            limited_by="Fourier transforms alone",
        )
    ]
    return Line(
        "front_end", "log-mel front end", "librosa.feature.melspectrogram, one process", figures, taken, note=note
    )


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark and print its line."""
    config, options = compared.parse(__doc__, Options, quick=QUICK, sections=SECTIONS, argv=argv)
    return compared.finish([measure(config.replace(front_end="logmel"), options)], options)


if __name__ == "__main__":
    cli.run(main)
