"""Lines 7 and 8: batch scoring against the notebook's ``predict_audio`` loop, and against bare LiteRT.

The notebook hears one second of each file, and its speed counts those seconds; ours counts the whole recordings. Both
are timed after their imports. The notebook's loop, file after file, is timed on a tenth of them, drawn at random. Bare
LiteRT invokes the model on the same windows, cut before, on the same cores.
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
    """What to score."""

    model: str = option("", "model folder; empty: the champion that register left")
    files: int = option(5000, "recordings to score: the corpus in mixed formats, over and over")


QUICK = {"files": 16}
NOTEBOOK_SHARE = 0.1
"""Share of the files that the notebook's loop is timed on."""
PROFILED = 200
"""Files whose parts are timed one by one, to say what a miss is made of."""


def score_all(model: Path, paths: list[str], place: Path) -> None:
    """What ``python -m pipeline.score LIST --output FILE`` does once it has started."""
    listed, output = place / "list.csv", place / "scores.csv"
    listed.write_text("\n".join(["path", *paths]), encoding="utf-8")
    output.unlink(missing_ok=True)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        status = score.main([str(listed), "--model", str(model), "--output", str(output)])
    assert status == 0, f"{output}: some recordings could not be scored"


def measure(config: Config, options: Options) -> list[Line]:
    """Lines 7 and 8."""
    model = ModelFolder.load(model_folders.find(options.model).resolve())
    known, _ = corpora.read(config.corpus)
    table, _ = corpora.read(recordings.mixed(config, copies=-(-options.files // len(known))).corpus)
    table = table.sort_values("path").head(options.files)
    paths = table["path"].tolist()
    # Copies are links to one file, whose windows are cut once.
    files = [os.stat(path).st_ino for path in paths]
    cut = {number: bare.cut(model, path) for number, path in dict(zip(files, paths, strict=True)).items()}
    windows = [cut[number] for number in files]
    spoken_s = {number: _seconds(path) for number, path in dict(zip(files, paths, strict=True)).items()}
    audio_s = sum(spoken_s[number] for number in files)
    import keras

    loops = bare.Loops(model)
    theirs = keras.models.load_model(notebook.save(artifacts_dir() / "benchmarks" / "notebook.keras"))
    notebook.predict_audio(theirs, paths[0])  # compiles
    asked = random.Random(0).sample(paths, max(round(NOTEBOOK_SHARE * len(paths)), 1))
    ours, plain, limit = "pipeline.score", f"the notebook's predict_audio, {len(asked)} files", "bare LiteRT"

    def predict_all() -> None:
        for path in asked:
            notebook.predict_audio(theirs, path)

    with tempfile.TemporaryDirectory() as place:
        contenders = {
            ours: lambda: score_all(model.folder, paths, Path(place)),
            plain: predict_all,
            limit: lambda: loops.run(windows),
        }
        score_all(model.folder, paths[:16], Path(place)), loops.run(windows[:16])  # imports and allocates
        taken = compared.alternate(contenders, repetitions=options.repetitions)
    # Seconds of audio a second: of ours all of it, of the notebook one a file.
    per_s = [len(asked) / s for s in taken[plain]]
    speeds = compared.ratios([audio_s / s for s in taken[ours]], per_s)
    named, window_s = f"{model.model_version} ({model.config.model.backbone})", model.clip_samples / SAMPLE_RATE_HZ
    note = (
        f"{len(paths)} files of {audio_s / len(paths):.1f} s on average, {sum(map(len, windows))} windows of "
        f"{window_s:g} s, {named}, {parallel.cores()} cores"
    )
    first = [
        Figure("× the notebook's seconds of audio a second", speeds, 12),
        Figure("× its files a second", compared.ratios([len(paths) / s for s in taken[ours]], per_s)),
    ]
    second = [Figure("of bare LiteRT's windows a second", compared.ratios(taken[limit], taken[ours]), 0.8)]
    parts = [parts_ms(model, paths[:PROFILED]) for _ in range(options.repetitions)]
    spent_ms = {f"{name}, a file on one core": [one[name] for one in parts] for name in parts[0]}
    return [
        Line(7, "batch scoring", "the notebook's predict_audio loop", first, taken, note=note),
        Line(8, "the same", "bare LiteRT on the same windows and cores", second, spent_ms, unit="ms", note=note),
    ]


def parts_ms(model: ModelFolder, paths: list[str]) -> dict[str, float]:
    """Milliseconds of one core that each part of scoring takes for a file, on average."""
    detector, spent_s = Detector(model, threads=1), {"decoding": 0.0, "the network": 0.0, "finding speech": 0.0}
    for path in paths:
        moments = [time.thread_time()]
        wave = audio.decode(path, config=model.config.audio)
        moments.append(time.thread_time())
        detector.utterance_logit(wave)
        moments.append(time.thread_time())
        speech.probabilities(wave)
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
