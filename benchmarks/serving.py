"""``serving``: the served model under load, against the same server around the notebook's function, and bare LiteRT.

Both models run in a real ``mlflow models serve``. Clients load one server, then the other; each sends its next
recording as soon as it has an answer. Bare LiteRT invokes the model on the same windows, cut beforehand, on the same
cores, without decoding or HTTP.
"""

import base64
import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import bare, compared, notebook
from benchmarks.compared import Figure, Line
from benchmarks.load import Load, load
from benchmarks.server import Server, serving
from benchmarks.start import registered
from pipeline import cli, corpora
from pipeline.common import parallel
from pipeline.config import PROJECT_ROOT, Config, artifacts_dir, option
from pipeline.errors import ProjectError
from pipeline.scoring import model_folders
from pipeline.scoring.model_folders import ModelFolder
from pipeline.serving import latency_log

SECTIONS = ("corpus", "audio")
MAX_GROWTH = 0.05


@dataclass(frozen=True)
class Options(compared.Options):
    """Model and load."""

    model: str = option("", "model folder; empty: the champion that register left")
    clips: int = option(64, "recordings of the corpus to send in turn")
    rows: int = option(1, "recordings per request")
    clients: int = option(8, "clients at once")
    workers: int = option(0, "processes of each server; 0: one per core")
    seconds: float = option(20.0, "length of a round's load in s")


QUICK = {"clips": 4, "clients": 2, "workers": 1, "seconds": 1.0}


def serve_notebook(stack: ExitStack, place: Path, workers: int) -> Server:
    """Serve the notebook's function."""
    import mlflow

    network = notebook.save(artifacts_dir() / "benchmarks" / "notebook.keras")
    model = place / "notebook"
    mlflow.pyfunc.save_model(
        model,
        python_model=str(PROJECT_ROOT / "benchmarks" / "notebook_server.py"),
        artifacts={"network": str(network)},
        pip_requirements=[],
        signature=mlflow.models.ModelSignature(inputs=mlflow.types.Schema([mlflow.types.ColSpec("string", "audio")])),
    )
    environment = {"PYTHONPATH": str(PROJECT_ROOT)}
    return stack.enter_context(
        serving(log=place / "notebook.log", model=str(model), workers=workers, environment=environment)
    )


def bodies_of(clips: Sequence[bytes], rows: int) -> list[bytes]:
    """Requests of ``rows`` recordings each."""
    records = [{"audio": base64.b64encode(clip).decode()} for clip in clips]
    groups = [records[i : i + rows] for i in range(0, len(records) - rows + 1, rows)]
    return [json.dumps({"dataframe_records": group}).encode() for group in groups]


def bare_clips_per_s(loops: bare.Loops, recordings: Sequence[np.ndarray], seconds: float) -> float:
    """Recordings per second whose windows LiteRT alone scores."""
    count, started = 0, time.monotonic()
    while (spent_s := time.monotonic() - started) < seconds:
        loops.run(recordings)
        count += len(recordings)
    return count / spent_s


def measure(config: Config, options: Options) -> Line:
    """Load both servers; raises ``ProjectError`` if a request failed."""
    model = ModelFolder.load(model_folders.find(options.model).resolve())
    table, _ = corpora.read(config.corpus)
    paths = table.sort_values("utterance_id")["path"].iloc[:: max(1, len(table) // options.clips)].head(options.clips)
    clips = [Path(path).read_bytes() for path in paths]
    bodies, windows, loops = bodies_of(clips, options.rows), [bare.cut(model, c) for c in clips], bare.Loops(model)
    ours, plain, limit = "the registered model", "the notebook's function", "bare LiteRT"
    seen: dict[str, list[Load]] = {ours: [], plain: []}
    workers = options.workers or parallel.cores()
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = registered(model.folder, place) | {"SPOOF_SERVE_LOG": str(place / "latency.jsonl")}
        servers = {
            ours: stack.enter_context(serving(log=place / "server.log", workers=workers, environment=environment)),
            plain: serve_notebook(stack, place, workers),
        }

        def ask(name: str) -> float:
            found = load(servers[name], bodies, clients=options.clients, seconds=options.seconds)
            if found.failed:
                raise ProjectError(f"{name}: {len(found.failed)} failures, such as {found.failed[0]}")
            seen[name].append(found)
            return len(found.rows) / found.seconds

        contenders = {name: lambda n=name: ask(n) for name in servers}
        contenders[limit] = lambda: bare_clips_per_s(loops, windows, options.seconds / 2)
        for server in servers.values():
            load(server, bodies, clients=options.clients, seconds=options.seconds / 2)
        loops.run(windows)
        taken = compared.measured(contenders, repetitions=options.repetitions, unit="clips/s")
    p99_ms = {name: [latency_log.spread(one.requests_ms)["p99"] for one in found] for name, found in seen.items()}
    figures = [
        Figure(
            *("× the notebook's clips/s", compared.ratios(taken[ours], taken[plain]), 5),
            limits=compared.ratios(taken[limit], taken[plain]),
            limited_by=limit,
        ),
        *(Figure(f"ms, p99 of {name}", values) for name, values in p99_ms.items()),
        Figure("of the notebook's p99", compared.ratios(p99_ms[ours], p99_ms[plain]), 1, at_most=True),
        Figure("of bare LiteRT's clips/s", compared.ratios(taken[ours], taken[limit]), 0.8),
    ]
    if options.repetitions > 1:
        growth = _memory(seen[ours][-1]) / _memory(seen[ours][0]) - 1
        figures.append(Figure("growth of its memory from the first round to the last", [growth], MAX_GROWTH, True))
    per_clip = np.mean([len(cut) for cut in windows])
    note = (
        f"processes per server: {workers}, {options.clients} clients, {options.rows} clip a request, {per_clip:.1f} "
        f"windows a clip, {model.model_version} ({model.config.model.backbone}), {parallel.cores()} cores"
    )
    return Line(
        *("serving", "mlflow models serve", "the same server around the notebook's function", figures),
        taken=taken,
        unit="clips/s",
        note=note,
    )


def _memory(found: Load) -> float:
    """Median of a round's readings, in bytes."""
    return float(np.median([size for _, size in found.memory_bytes]))


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark and print its line."""
    config, options = compared.parse(__doc__, Options, quick=QUICK, sections=SECTIONS, argv=argv)
    return compared.finish([measure(config, options)], options)


if __name__ == "__main__":
    cli.run(main)
