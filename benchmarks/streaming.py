"""Latency of the stream's steps, time to its first score, and its memory over an hour of audio.

The audio is noise, fed through a pipe as fast as it is scored: the cost of a step does not depend on it. The time
to the first score starts with the process and includes Python's start.
"""

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time

import numpy as np
import psutil

from pipeline.config import PROJECT_ROOT, SAMPLE_RATE_HZ
from pipeline.scoring import model_folders

WARM_AUDIO_S = 60.0
"""Audio before the first reading of memory: by then everything is loaded."""
TARGETS = "targets on 2 cores: p99 ≤ 60 ms, real-time factor ≤ 0.15, first score ≤ 1.0 s, no growth"


def command(model: str) -> list[str]:
    """Command line of the stream."""
    return [sys.executable, "-m", "pipeline.stream", "--model", model, "--pace", "fast"]


def first_score_s(model: str) -> float:
    """Seconds from the start of the process to its first line."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command(model), cwd=PROJECT_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    process.stdin.write(bytes(2 * SAMPLE_RATE_HZ))
    process.stdin.flush()
    process.stdout.readline()
    elapsed_s = time.perf_counter() - started
    process.communicate()
    return elapsed_s


def feed(process: subprocess.Popen, hours: float) -> None:
    """Write noise of a fixed seed, a minute at a time."""
    rng = np.random.default_rng(0)
    minute = rng.normal(0, 1000, 60 * SAMPLE_RATE_HZ).astype("<i2")
    for _ in range(round(60 * hours)):
        process.stdin.write(np.roll(minute, int(rng.integers(len(minute)))).tobytes())
    process.stdin.close()


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", default="", help="model folder (default: the champion)")
    parser.add_argument("--hours", type=float, default=1.0, help="hours of audio (default: %(default)s)")
    parser.add_argument("--starts", type=int, default=5, help="starts to time (default: %(default)s)")
    options = parser.parse_args()
    model = str(model_folders.find(options.model).resolve())
    starts_s = [first_score_s(model) for _ in range(options.starts)]

    process = subprocess.Popen(
        command(model), cwd=PROJECT_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    threading.Thread(target=feed, args=(process, options.hours), daemon=True).start()
    watched, begin_mb, end_mb = psutil.Process(process.pid), 0.0, 0.0
    started = time.perf_counter()
    for number, line in enumerate(process.stdout):
        if number % 100 == 0:
            end_mb = watched.memory_info().rss / 1e6
            begin_mb = begin_mb or (end_mb if json.loads(line)["time_s"] >= WARM_AUDIO_S else 0.0)
    wall_s = time.perf_counter() - started
    summary = json.loads(process.stderr.read().splitlines()[-1])
    print(
        f"{model_folders.ModelFolder.load(model).model_version}, {summary['audio_s'] / 3600:.2f} h of audio "
        f"in {wall_s:.0f} s"
    )
    print(
        "latency of a step: "
        + ", ".join(f"{n} {summary[f'latency_{n}_ms']:.1f} ms" for n in ("p50", "p95", "p99", "max"))
    )
    print(
        f"real-time factor {summary['real_time_factor']:.3f}, {summary['dropped']} of {summary['steps']} steps dropped"
    )
    print(f"first score after {statistics.median(starts_s):.2f} s ({min(starts_s):.2f} to {max(starts_s):.2f})")
    print(f"memory {begin_mb:.0f} MB after {WARM_AUDIO_S:.0f} s of audio, {end_mb:.0f} MB at the end")
    print(TARGETS)


if __name__ == "__main__":
    main()
