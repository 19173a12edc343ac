"""Recordings to measure on: a corpus in common formats, repeated, and its table.

Each recording is written once, in one of ``FORMATS`` in turn. Its copies are links to that file, so a corpus 16 times
as large costs names and no disk. Existing files are kept.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import audio, corpora
from pipeline.config import SAMPLE_RATE_HZ, Config, artifacts_dir

FORMATS = (
    ("wav", {"format": "WAV", "subtype": "PCM_16"}, 16000),
    ("flac", {"format": "FLAC"}, 16000),
    ("wav", {"format": "WAV", "subtype": "PCM_16"}, 44100),
    ("mp3", {"format": "MP3"}, 44100),
    ("ogg", {"format": "OGG", "subtype": "VORBIS"}, 44100),
    ("opus", {"format": "OGG", "subtype": "OPUS"}, 48000),
    ("flac", {"format": "FLAC"}, 48000),
    ("wav", {"format": "WAV", "subtype": "ULAW"}, 8000),
)
"""Suffix, libsndfile's settings and sample rate in Hz; librosa reads all of them by libsndfile."""


def mixed(config: Config, *, copies: int) -> Config:
    """Configuration of a corpus in mixed formats with ``copies`` of each recording of the configured one."""
    table, _ = corpora.read(config.corpus)
    folder = artifacts_dir() / "benchmarks" / "recordings" / f"{config.corpus.corpus}-{len(table)}"
    index = folder / f"times-{copies}.csv"
    if not index.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        rows = [row for number in range(len(table)) for row in _copies(folder, table.iloc[number], number, copies)]
        unfinished = index.with_suffix(".part")
        pd.DataFrame(rows).to_csv(unfinished, index=False)
        unfinished.replace(index)
    return config.replace(corpus="table", data_dir=str(index))


def many(folder: Path, count: int) -> Config:
    """Configuration of a corpus of ``count`` names that link to six short recordings.

    Each class of each subset has its own recording, so none is a duplicate across subsets.
    """
    import soundfile

    index = folder / f"many-{count}.csv"
    if not index.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        names = [f"many/{number % 100:02d}/{number:06d}.wav" for number in range(count)]
        rng = np.random.default_rng(0)
        for number, name in enumerate(names):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            first = folder / names[number % 6]
            if number < 6:
                soundfile.write(path, rng.normal(0, 0.1, SAMPLE_RATE_HZ // 4), SAMPLE_RATE_HZ, subtype="PCM_16")
            elif not path.exists():
                path.hardlink_to(first)
        subsets = ("train", "dev", "eval")
        pd.DataFrame(
            {
                "path": names,
                "label": [("bonafide", "spoof")[number % 2] for number in range(count)],
                "speaker": [f"S{number % 3 * 10 + number // 3 % 10}" for number in range(count)],
                "split": [subsets[number % 3] for number in range(count)],
            }
        ).to_csv(index, index=False)
    return Config().replace(corpus="table", data_dir=str(index))


def _copies(folder: Path, row: pd.Series, number: int, copies: int) -> list[dict[str, str]]:
    """Rows of a recording's copies; writes the file if it is missing."""
    suffix, settings, rate_hz = FORMATS[number % len(FORMATS)]
    first = folder / "00" / f"{row.utterance_id}.{suffix}"
    if not first.exists():
        _write(first, audio.decode(row.path), settings, rate_hz)
    known = {name: row[name] for name in ("label", "speaker", "attack", "split")}
    rows = []
    for copy in range(copies):
        path = folder / f"{copy:02d}" / first.name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.hardlink_to(first)
        rows.append({"path": str(path.relative_to(folder)), **known})
    return rows


def _write(path: Path, wave: np.ndarray, settings: dict[str, str], rate_hz: int) -> None:
    import soundfile
    import soxr

    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    sound = soxr.resample(wave, SAMPLE_RATE_HZ, rate_hz)
    soundfile.write(unfinished, np.clip(sound, -1, 1), rate_hz, **settings)
    unfinished.replace(path)
