"""All benchmarks with a target, each in a process of its own, and the table of what they measured.

A benchmark that fails does not stop the others. What is measured is kept as JSON under ``artifacts/benchmarks/`` for
the state of the code that it was measured with, so a run that was killed goes on by the same command, and
``benchmarks/results.md`` always shows all lines that are there.
"""

import hashlib
import importlib.util
import json
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import compared
from benchmarks.compared import Line
from pipeline import cli, tracking
from pipeline.common import files, parallel
from pipeline.config import PROJECT_ROOT, Config, artifacts_dir, fingerprint, option
from pipeline.errors import ConfigError

MODULES = {
    "preprocess": (1, 2, 3),
    "training": (4, 5),
    "front_end": (6,),
    "scoring": (7, 8),
    "start": (9,),
    "growth": (10, 13),
    "serving": (11,),
    "bootstrap": (12,),
}
"""Modules of this package and the lines of the table that each measures."""
TAKES_MODEL = ("scoring", "start", "growth", "serving")
TAKES_CORPUS = ("preprocess", "training", "scoring", "start", "growth", "serving")
RESULTS = PROJECT_ROOT / "benchmarks" / "results.md"


@dataclass(frozen=True)
class Options:
    """What to measure."""

    lines: str = option("", "numbers of the lines to measure, comma separated; empty: all")
    model: str = option("", "model folder that scores; empty: the champion that register left")
    repetitions: int = option(0, "rounds of every benchmark; 0: what each of them takes by itself")
    quick: bool = option(False, "the smallest sizes, to see that everything works")
    again: bool = option(False, "measure lines that are there too")
    output: str = option("", "file of the table; empty: benchmarks/results.md")


@dataclass(frozen=True)
class Kept:
    """What a benchmark left: its lines, or how it failed."""

    module: str
    lines: tuple[Line, ...]
    seconds: float
    error: str = ""


def chosen(lines: str) -> list[str]:
    """The modules that measure the numbered lines, all of them for ""."""
    try:
        numbers = {int(part) for part in lines.split(",") if part.strip()}
    except ValueError:
        raise ConfigError(f"--lines {lines!r}: expected numbers such as 6,12") from None
    known = {number for own in MODULES.values() for number in own}
    if unknown := sorted(numbers - known):
        raise ConfigError(f"--lines {lines!r}: there is no line {unknown[0]}, only {min(known)} to {max(known)}")
    return [module for module, own in MODULES.items() if not numbers or numbers & set(own)]


def measure(module: str, config: Config, options: Options, folder: Path) -> Kept:
    """Run a benchmark; what it measured is kept in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / f"{module}.lines"
    result.unlink(missing_ok=True)
    command = [sys.executable, "-m", f"benchmarks.{module}", "--json", str(result)]
    command += ["--quick", "true"] if options.quick else []
    command += ["--repetitions", str(options.repetitions)] if options.repetitions else []
    command += ["--model", str(Path(options.model).resolve())] if options.model and module in TAKES_MODEL else []
    if module in TAKES_CORPUS:
        command += ["--preset", config.preset, "--corpus", config.corpus.corpus, "--data_dir", config.corpus.data_dir]
    log = folder / f"{module}.log"
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as output:
        subprocess.run(command, cwd=PROJECT_ROOT, stdout=output, stderr=subprocess.STDOUT)
    spent_s = time.monotonic() - started
    if not result.is_file():
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:] or ["no output"]
        return Kept(module, (), spent_s, f"{last[0]} (all of it: {log})")
    values = {"lines": json.loads(result.read_text(encoding="utf-8")), "seconds": spent_s}
    files.write_json(folder / f"{module}.json", values)
    return read(module, folder)


def read(module: str, folder: Path) -> Kept | None:
    """What a benchmark left in the folder; ``None`` where it has not finished."""
    try:
        values = json.loads((folder / f"{module}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Kept(module, tuple(Line.of(line) for line in values["lines"]), values["seconds"])


def state_of_the_code(module: str) -> str:
    """Checksum of the code that a benchmark measures, and of that which measures; other benchmarks are left out."""
    files = sorted(path for part in ("pipeline", "benchmarks") for path in (PROJECT_ROOT / part).rglob("*.py"))
    others = {PROJECT_ROOT / "benchmarks" / f"{name}.py" for name in MODULES if name != module}
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files if path not in others)).hexdigest()


def machine() -> str:
    """Processor, cores, memory and versions, as Markdown."""
    names = [line.split(":", 1)[1].strip() for line in _read("/proc/cpuinfo").splitlines() if "model name" in line]
    versions = ", ".join(f"{name} {version}" for name, version in tracking.versions().items())
    processor, memory_gb = names[0] if names else platform.processor(), psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.release()}"
    return f"{processor}, {parallel.cores()} cores, {memory_gb:.0f} GB of memory, {system}.\n{versions}."


def document(found: list[Kept], quick: bool) -> str:
    """The whole of the results file."""
    lines = sorted((line for kept in found for line in kept.lines), key=lambda line: line.number)
    missed = [str(line.number) for line in lines if not line.met]
    failed = [f"- `benchmarks.{kept.module}` failed: {kept.error}" for kept in found if kept.error]
    spent = ", ".join(f"`{kept.module}` {kept.seconds:.0f} s" for kept in found)
    parts = [
        "# Measured",
        "`make bench` writes this file. Each line compares its contenders in one run on the same data, in alternating "
        "rounds; a ratio is the median of the rounds' ratios, with the smallest and the largest.",
        machine(),
        "Made with `--quick`: it shows that everything works, and measures nothing." if quick else "",
        compared.table(lines),
        f"Lines with a miss: {', '.join(missed) or 'none'}.",
        "\n".join(failed),
        f"Time that each took: {spent}.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def main(argv: list[str] | None = None) -> int:
    """Measure what is not there yet and write the table; 1 where a benchmark failed."""
    config, options, _ = cli.parse(__doc__.split("\n\n")[0], sections=("corpus",), options=Options, argv=argv)
    asked = (config.corpus, config.preset, options.model, options.repetitions, options.quick)
    folders = {name: artifacts_dir() / "benchmarks" / fingerprint(state_of_the_code(name), *asked) for name in MODULES}
    output = Path(options.output) if options.output else RESULTS
    results = {module: read(module, folder) for module, folder in folders.items()}
    for module in chosen(options.lines):
        if importlib.util.find_spec(f"benchmarks.{module}") is None:
            continue
        if results[module] is None or options.again:
            (folders[module] / f"{module}.json").unlink(missing_ok=True)
            print(f"== {module}: lines {', '.join(map(str, MODULES[module]))}", flush=True)
            results[module] = measure(module, config, options, folders[module])
        kept = results[module]
        print("\n".join(map(compared.text, kept.lines)) or f"failed: {kept.error}", flush=True)
        output.write_text(document([one for one in results.values() if one], options.quick), encoding="utf-8")
    print(f"table: {output}")
    return int(any(kept.error for kept in results.values() if kept))


if __name__ == "__main__":
    cli.run(main)
