"""``batch_scoring`` and ``batch_scoring_of_litert``: against the notebook's ``predict_audio``, and bare LiteRT.

The notebook reads one second of each file, and its speed counts those seconds; ours counts whole recordings. Both are
timed after their imports. The notebook's loop is timed on a random tenth of the files. Bare LiteRT invokes the model on
the same windows, cut beforehand, on the same cores.
"""

import contextlib
import io
import itertools
import os
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import bare, compared, notebook, recordings
from benchmarks.compared import Figure, Line
from pipeline import audio, cli, corpora, score
from pipeline.audio import speech
from pipeline.common import parallel
from pipeline.config import SAMPLE_RATE_HZ, Config, artifacts_dir, option
from pipeline.scoring import model_folders
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder

SECTIONS = ("corpus", "audio")


@dataclass(frozen=True)
class Options(compared.Options):
    """Model and number of files."""

    model: str = option("", "model folder; empty: the champion that register left")
    files: int = option(2500, "recordings to score: the corpus in mixed formats, repeated")


QUICK = {"files": 16}
NOTEBOOK_SHARE = 0.1
"""Share of the files that time the notebook's loop."""
PROFILED = 200
"""Files to time part by part, to explain a miss."""


def score_all(model: Path, paths: list[str], place: Path) -> None:
    """Do what ``python -m pipeline.score LIST --output FILE`` does after start-up."""
    listed, output = place / "list.csv", place / "scores.csv"
    listed.write_text("\n".join(["path", *paths]), encoding="utf-8")
    output.unlink(missing_ok=True)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        status = score.main([str(listed), "--model", str(model), "--output", str(output)])
    assert status == 0, f"{output}: some recordings could not be scored"


def measure(config: Config, options: Options) -> list[Line]:
    """Measure both lines."""
    model = ModelFolder.load(model_folders.find(options.model).resolve())
    known, _ = corpora.read(config.corpus)
    table, _ = corpora.read(recordings.mixed(config, copies=-(-options.files // len(known))).corpus)
    table = table.sort_values("path").head(options.files)
    paths = table["path"].tolist()
    # Copies are links to one file: cut its windows once.
    files = [os.stat(path).st_ino for path in paths]
    cut = {number: bare.cut(model, path) for number, path in dict(zip(files, paths, strict=True)).items()}
    windows = [cut[number] for number in files]
    length_s = {number: _seconds(path) for number, path in dict(zip(files, paths, strict=True)).items()}
    audio_s = sum(length_s[number] for number in files)
    import keras

    loops = bare.Loops(model)
    network = keras.models.load_model(notebook.save(artifacts_dir() / "benchmarks" / "notebook.keras"))
    notebook.predict_audio(network, paths[0])  # compiles
    asked = random.Random(0).sample(paths, max(round(NOTEBOOK_SHARE * len(paths)), 1))
    ours, plain, limit = "pipeline.score", f"the notebook's predict_audio, {len(asked)} files", "bare LiteRT"

    def predict_all() -> None:
        for path in asked:
            notebook.predict_audio(network, path)

    with tempfile.TemporaryDirectory() as place:
        contenders = {
            ours: lambda: score_all(model.folder, paths, Path(place)),
            plain: predict_all,
            limit: lambda: loops.run(windows),
        }
        score_all(model.folder, paths[:16], Path(place)), loops.run(windows[:16])  # imports and allocates
        taken = compared.alternate(contenders, repetitions=options.repetitions)
    # Seconds of audio per second: ours counts all of it, the notebook one second per file.
    per_s = [len(asked) / s for s in taken[plain]]
    speeds = compared.ratios([audio_s / s for s in taken[ours]], per_s)
    named, window_s = f"{model.model_version} ({model.config.model.backbone})", model.clip_samples / SAMPLE_RATE_HZ
    note = (
        f"{len(paths)} files of {audio_s / len(paths):.1f} s on average, {sum(map(len, windows))} windows of "
        f"{window_s:g} s, {named}, {parallel.cores()} cores"
    )
    first = [
        Figure("× the notebook's seconds of audio per second", speeds, 12),
        Figure("× its files per second", compared.ratios([len(paths) / s for s in taken[ours]], per_s)),
    ]
    parts = [parts_ms(model, paths[:PROFILED]) for _ in range(options.repetitions)]
    second = [
        Figure(
            *("of bare LiteRT's windows per second", compared.ratios(taken[limit], taken[ours]), 0.85),
            limits=[one["the network"] / sum(one.values()) for one in parts],
            limited_by="network, speech and decoding alone",
        )
    ]
    spent_ms = {f"{name}, per file on one core": [one[name] for one in parts] for name in parts[0]}
    return [
        Line("batch_scoring", "batch scoring", "the notebook's predict_audio loop", first, taken, note=note),
        Line(
            "batch_scoring_of_litert",
            "batch scoring",
            "bare LiteRT on the same windows and cores",
            second,
            spent_ms,
            unit="ms",
            note=note,
        ),
    ]


def parts_ms(model: ModelFolder, paths: list[str]) -> dict[str, float]:
    """Milliseconds on one core per part of scoring, averaged over files."""
    detector, spent_s = Detector(model, threads=1), {"decoding": 0.0, "finding speech": 0.0, "the network": 0.0}
    for path in paths:
        moments = [time.thread_time()]
        wave = audio.decode(path, config=model.config.audio)
        moments.append(time.thread_time())
        found = speech.find(wave)
        moments.append(time.thread_time())
        next(detector.utterance_logits([wave], [found]))
        moments.append(time.thread_time())
        for part, (begun, ended) in zip(spent_s, itertools.pairwise(moments), strict=True):
            spent_s[part] += ended - begun
    return {part: 1000 * seconds / len(paths) for part, seconds in spent_s.items()}


def _seconds(path: str) -> float:
    import soundfile

    return soundfile.info(path).duration


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark and print its lines."""
    config, options = compared.parse(__doc__, Options, quick=QUICK, sections=SECTIONS, argv=argv)
    return compared.finish(measure(config, options), options)


if __name__ == "__main__":
    cli.run(main)
