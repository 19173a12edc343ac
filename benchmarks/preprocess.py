"""Preprocessing against the original notebook's feature loop, and against nothing but decoding the same files.

The notebook read one file after another in one process and computed the mel-spectrogram of its first second. Plain
decoding, on all cores, is the limit of any preprocessing that reads the same files.
"""

import argparse
import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd

from benchmarks import timing
from pipeline import corpora, preprocess
from pipeline.config import SAMPLE_RATE_HZ, Config, preset

CHUNK_FILES = 32


def notebook_loop(paths: list[str]) -> None:
    """What the original notebook did to each file (its settings are the preset ``notebook``)."""
    import librosa

    settings = preset("notebook").front_end
    for path in paths:
        wave, _ = librosa.load(path, sr=SAMPLE_RATE_HZ)
        wave = librosa.util.fix_length(wave, size=SAMPLE_RATE_HZ)
        power = librosa.feature.melspectrogram(
            y=wave, sr=SAMPLE_RATE_HZ, n_mels=settings.n_mels, n_fft=settings.n_fft, hop_length=settings.hop_samples
        )
        librosa.power_to_db(power, ref=max(power.max(), 1e-10))


def decode_files(paths: list[str]) -> None:
    """Read and resample files, and keep nothing."""
    import soundfile
    import soxr

    for path in paths:
        wave, rate_hz = soundfile.read(path, dtype="float32")
        if rate_hz != SAMPLE_RATE_HZ:
            soxr.resample(wave, rate_hz, SAMPLE_RATE_HZ)


def decode_on_all_cores(paths: list[str]) -> None:
    """``decode_files`` in as many processes as preprocessing uses."""
    chunks = [paths[first : first + CHUNK_FILES] for first in range(0, len(paths), CHUNK_FILES)]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(decode_files, chunks))


def make_store(table: pd.DataFrame, config: Config) -> None:
    """The stage as it is: a Store that is not there yet."""
    with tempfile.TemporaryDirectory() as folder:
        preprocess.build(table, [], config, Path(folder), split_by="official", key="benchmark")


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--repetitions", type=int, default=5, help="rounds (default: %(default)s)")
    parser.add_argument("--preset", default="demo", help="preset whose corpus is read (default: %(default)s)")
    options = parser.parse_args()
    config = preset(options.preset)
    table, _ = corpora.read(config.corpus)
    paths = table["path"].tolist()
    notebook_loop(paths[:1])  # librosa compiles and imports on its first call
    seconds = timing.alternate(
        {
            "the notebook's loop, one process": lambda: notebook_loop(paths),
            "preprocess": lambda: make_store(table, config),
            "decoding alone, all cores": lambda: decode_on_all_cores(paths),
        },
        repetitions=options.repetitions,
    )
    notebook, ours, decoding = seconds.values()
    print(f"{len(paths)} clips of {config.corpus.corpus} on {len(os.sched_getaffinity(0))} cores")
    print(timing.table(seconds, items=len(paths), unit="clips"))
    print(f"the notebook's loop takes {timing.ratio(notebook, ours)} times as long as preprocess")
    print(f"preprocess takes {timing.ratio(ours, decoding)} times as long as decoding alone")


if __name__ == "__main__":
    main()
