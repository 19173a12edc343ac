"""The served model under load, against a bare LiteRT loop over the same windows on the same cores.

Starts a real ``mlflow models serve``, asks it from many clients at once, and watches its memory. The bare loop does
nothing but run the interpreter, before and after the server's turn: one interpreter with a thread for each core, and,
for the most that the cores can give, one interpreter for each core in a loop of its own. Exits with 1 where a request
failed, memory grew, or throughput fell short of the first.
"""

import argparse
import base64
import http.client
import itertools
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.server import Server, serving
from pipeline import audio, bundle, inputs, latency, latency_log, windows
from pipeline.bundle import Bundle
from pipeline.detector import Detector, cores

WARM_UP_S = 10.0
"""Memory is compared with what it was this long after the load began."""
MAX_GROWTH = 0.05
MIN_RATIO = 0.8


@dataclass
class Load:
    """What clients saw of a server, and what its memory did."""

    seconds: float = 0.0
    requests_ms: list[float] = field(default_factory=list)
    rows: list[dict] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    memory_bytes: list[tuple[float, int]] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """Growth of memory from the end of the warm-up to the end, as a share; medians over a tenth of the time."""
        part = self.seconds / 10
        after = [size for when, size in self.memory_bytes if WARM_UP_S <= when < WARM_UP_S + part]
        last = [size for when, size in self.memory_bytes if when >= self.seconds - part]
        return statistics.median(last) / statistics.median(after) - 1 if after and last else float("nan")


def load(server: Server, bodies: Sequence[bytes], *, clients: int, seconds: float) -> Load:
    """Ask a server from many clients at once, each sending its next body as soon as it has the answer."""
    found, lock = Load(), threading.Lock()
    next_body = itertools.cycle(bodies)
    started = time.monotonic()

    def client() -> None:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=60)
        while time.monotonic() - started < seconds:
            with lock:
                body = next(next_body)
            asked = time.perf_counter()
            try:
                connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
            except OSError as error:
                connection.close()
                status, text = 0, repr(error).encode()
            else:
                status = answer.status
            spent_ms = 1000 * (time.perf_counter() - asked)
            with lock:
                if status == 200:
                    found.requests_ms.append(spent_ms)
                    found.rows += json.loads(text)["predictions"]
                else:
                    found.failures.append(f"{status} {text[:200].decode(errors='replace')}")

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        found.memory_bytes.append((time.monotonic() - started, server.memory_bytes()))
        time.sleep(0.25)
    found.seconds = time.monotonic() - started
    return found


def bare_loop(model: Bundle, batches: Sequence[np.ndarray], *, loops: int, threads: int, seconds: float) -> float:
    """Windows a second of so many loops at once, each over an interpreter of its own with so many threads."""
    counts = []

    def run() -> None:
        detector = Detector(model, threads=threads)
        count, until = 0, time.monotonic() + seconds
        for batch in itertools.cycle(batches):
            count += len(detector.window_logits(batch))
            if time.monotonic() >= until:
                counts.append(count)
                return

    in_threads([run] * loops)
    return sum(counts) / seconds


def bare_loops(model: Bundle, batches: Sequence[np.ndarray], *, seconds: float) -> dict[str, float]:
    """Windows a second by kind of loop."""
    return {
        f"one loop, {cores()} threads": bare_loop(model, batches, loops=1, threads=cores(), seconds=seconds),
        f"{cores()} loops, 1 thread each": bare_loop(model, batches, loops=cores(), threads=1, seconds=seconds),
    }


def in_threads(work: Sequence[Callable[[], None]]) -> None:
    """Run the functions at once, each in a thread."""
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def clips_of(folders: Sequence[str], count: int) -> list[bytes]:
    """Recordings as the bytes of their files: the first of the folders, or else four seconds of sound each."""
    if folders:
        return [Path(recording.path).read_bytes() for recording in inputs.find(folders)[:count]]
    import io

    import soundfile

    found = []
    for seed in range(count):
        noise = np.random.default_rng(seed).normal(0, 0.1, 4 * 16000)
        file = io.BytesIO()
        soundfile.write(file, audio.to_int16(noise), 16000, format="WAV")
        found.append(file.getvalue())
    return found


def cut(model: Bundle, clips: Sequence[bytes]) -> list[np.ndarray]:
    """The windows ``[windows, clip_samples]`` of each clip that the detector scores."""
    size, settings = model.clip_samples, model.config.train
    found = []
    for clip in clips:
        wave = audio.decode(clip, config=model.config.audio)
        starts = windows.starts(len(wave), size, settings.windows)
        found.append(np.stack([windows.cut(wave, start, size, settings.pad) for start in starts]))
    return found


def report(outcome: Load, bare: Sequence[dict[str, float]], windows_per_clip: float, rows: int) -> bool:
    """Print what was measured; whether all of it is as it should be."""
    clips_per_s = len(outcome.rows) / outcome.seconds
    windows_per_s = clips_per_s * windows_per_clip
    ratios = {kind: windows_per_s / statistics.mean(turn[kind] for turn in bare) for kind in bare[0]}
    failed_rows = sum(bool(row["error"]) for row in outcome.rows)
    print(f"{len(outcome.requests_ms)} requests of {rows} clips in {outcome.seconds:.1f} s on {cores()} cores")
    print(f"failed requests {len(outcome.failures)}, rows with an error {failed_rows}")
    for failure in sorted(set(outcome.failures))[:3]:
        print(f"  {failure}")
    spread = latency_log.spread(outcome.requests_ms)
    print("request ms      " + "".join(f"{name} {value:.1f}   " for name, value in spread.items()))
    clip_ms = latency_log.spread([row["latency_ms"] for row in outcome.rows])
    print("clip ms         " + "".join(f"{name} {value:.1f}   " for name, value in clip_ms.items()))
    print(f"throughput      {clips_per_s:.1f} clips/s, {windows_per_s:.1f} windows/s")
    for kind, ratio in ratios.items():
        before, after = (turn[kind] for turn in bare)
        print(f"of a bare loop  {ratio:.2f} ({kind}: {before:.1f} windows/s before, {after:.1f} after)")
    highest = max(size for _, size in outcome.memory_bytes)
    print(f"memory          {highest / 1e6:.0f} MB at most, growth after {WARM_UP_S:g} s {100 * outcome.growth:+.1f} %")
    quick_enough = next(iter(ratios.values())) >= MIN_RATIO
    return not outcome.failures and not failed_rows and quick_enough and not outcome.growth > MAX_GROWTH


def main() -> int:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", default="", help="model folder (default: the champion that register left)")
    parser.add_argument(
        "--input", nargs="*", default=[], help="files and folders of recordings (default: 4 s of noise)"
    )
    parser.add_argument("--clips", type=int, default=32, help="recordings to send in turn (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=1, help="recordings a request (default: %(default)s)")
    parser.add_argument("--clients", type=int, default=8, help="clients at once (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the load (default: %(default)s)")
    options = parser.parse_args()
    model = Bundle.load(bundle.find(options.model).resolve())
    clips = clips_of(options.input, options.clips)
    batches = cut(model, clips)
    records = [{"audio": base64.b64encode(clip).decode()} for clip in clips]
    groups = [records[i : i + options.rows] for i in range(0, len(records) - options.rows + 1, options.rows)]
    bodies = [json.dumps({"dataframe_records": group}).encode() for group in groups]
    bare_s = max(options.seconds / 6, 1.0)
    with tempfile.TemporaryDirectory() as place:
        os.environ.update(SPOOF_ARTIFACTS=place, MLFLOW_TRACKING_URI=f"sqlite:///{place}/mlflow.db")
        os.chdir(place)
        from pipeline import registry

        registry.register(model.folder)
        before = bare_loops(model, batches, seconds=bare_s)
        lines = Path(place) / "latency.jsonl"
        settings = {"SPOOF_SERVE_LOG": str(lines)}
        with serving(log=Path(place) / "server.log", environment=settings) as server:
            outcome = load(server, bodies, clients=options.clients, seconds=options.seconds)
        after = bare_loops(model, batches, seconds=bare_s)
        good = report(outcome, (before, after), sum(map(len, batches)) / len(batches), options.rows)
        print("\nWhat the server says of itself:")
        print(latency.table(latency.summarise(latency.read(lines))))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
