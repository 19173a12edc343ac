"""Run all benchmarks with a target, each in a separate process, and write their table.

A failing benchmark does not stop the others. Measured lines are kept as JSON under ``artifacts/benchmarks/``, per state
of the code, so the same command resumes a killed run, and ``benchmarks/results.md`` always shows all lines measured so
far.
"""

import hashlib
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
from pipeline import cli
from pipeline.common import files, parallel, provenance
from pipeline.config import PROJECT_ROOT, Config, artifacts_dir, fingerprint, option
from pipeline.errors import ConfigError

MODULES = {
    "preprocess": ("preprocess", "preprocess_of_decoding", "preprocess_unchanged"),
    "training": ("training_step", "input_pipeline"),
    "front_end": ("front_end",),
    "scoring": ("batch_scoring", "batch_scoring_of_litert"),
    "start": ("cold_start",),
    "growth": ("memory_growth", "cost_growth"),
    "serving": ("serving",),
    "bootstrap": ("bootstrap",),
}
"""Modules of this package and the lines of the table that each measures, in the table's order."""
TAKES_MODEL = ("scoring", "start", "growth", "serving")
TAKES_CORPUS = ("preprocess", "training", "scoring", "start", "growth", "serving")
FURTHER = {"growth": ["--stages", "4", "--clip_s", "2"]}
"""Further options by module: growth compares sizes of a corpus, and starts nine trainings, so its network is small."""
RESULTS = PROJECT_ROOT / "benchmarks" / "results.md"


@dataclass(frozen=True)
class Options:
    """Lines to measure, and how."""

    lines: str = option("", "names of the lines to measure, comma separated, such as cold_start,serving; empty: all")
    model: str = option("", "model folder that scores; empty: the champion that register left")
    repetitions: int = option(0, "rounds of every benchmark; 0: the default of each")
    quick: bool = option(False, "the smallest sizes: shows that everything works, measures nothing")
    again: bool = option(False, "measure again lines that are already measured")
    output: str = option("", "file of the table; empty: benchmarks/results.md")


@dataclass(frozen=True)
class Kept:
    """Result of a benchmark: its lines or its error."""

    module: str
    lines: tuple[Line, ...]
    seconds: float
    error: str = ""


def chosen(lines: str) -> list[str]:
    """Modules that measure the named lines; all of them for ""."""
    names = {name.strip() for name in lines.split(",") if name.strip()}
    known = [name for own in MODULES.values() for name in own]
    if unknown := sorted(names.difference(known)):
        raise ConfigError(f"--lines {unknown[0]}: unknown; choose from {', '.join(known)}")
    return [module for module, own in MODULES.items() if not names or names & set(own)]


def measure(module: str, config: Config, options: Options, folder: Path) -> Kept:
    """Run a benchmark and keep its lines in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / f"{module}.lines"
    result.unlink(missing_ok=True)
    command = [sys.executable, "-m", f"benchmarks.{module}", "--json", str(result)]
    command += ["--quick", "true"] if options.quick else []
    command += ["--repetitions", str(options.repetitions)] if options.repetitions else []
    command += ["--model", str(Path(options.model).resolve())] if options.model and module in TAKES_MODEL else []
    if module in TAKES_CORPUS:
        command += ["--preset", config.preset, "--corpus", config.corpus.corpus, "--data_dir", config.corpus.data_dir]
    command += FURTHER.get(module, [])
    log = folder / f"{module}.log"
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as output:
        subprocess.run(command, cwd=PROJECT_ROOT, stdout=output, stderr=subprocess.STDOUT)
    spent_s = time.monotonic() - started
    if not result.is_file():
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:] or ["no output"]
        return Kept(module, (), spent_s, f"{last[0]} (log: {log})")
    values = {"lines": json.loads(result.read_text(encoding="utf-8")), "seconds": spent_s}
    files.write_json(folder / f"{module}.json", values)
    return read(module, folder)


def read(module: str, folder: Path) -> Kept | None:
    """Read a benchmark's result from the folder; ``None`` if it has not finished."""
    try:
        values = json.loads((folder / f"{module}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Kept(module, tuple(Line.of(line) for line in values["lines"]), values["seconds"])


def state_of_the_code(module: str) -> str:
    """Checksum of the project's code and of the benchmark's; other benchmarks are left out."""
    files = sorted(path for part in ("pipeline", "benchmarks") for path in (PROJECT_ROOT / part).rglob("*.py"))
    others = {PROJECT_ROOT / "benchmarks" / f"{name}.py" for name in MODULES if name != module}
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files if path not in others)).hexdigest()


def machine() -> str:
    """Processor, cores, memory and versions as Markdown."""
    names = [line.split(":", 1)[1].strip() for line in _read("/proc/cpuinfo").splitlines() if "model name" in line]
    versions = ", ".join(f"{name} {version}" for name, version in provenance.versions().items())
    processor, memory_gb = names[0] if names else platform.processor(), psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.release()}"
    return f"{processor}, {parallel.cores()} cores, {memory_gb:.0f} GB of memory, {system}.\n{versions}."


def document(found: list[Kept], quick: bool) -> str:
    """Text of the results file."""
    lines = [line for kept in found for line in kept.lines]
    missed = [f"`{line.name}`" for line in lines if not line.met]
    failed = [f"- `benchmarks.{kept.module}` failed: {kept.error}" for kept in found if kept.error]
    spent = ", ".join(f"`{kept.module}` {kept.seconds:.0f} s" for kept in found)
    parts = [
        "# Measured",
        "`make bench` writes this file. Each line compares its contenders in one run on the same data, in alternating "
        "rounds; a ratio is the median of the rounds' ratios (smallest to largest).",
        machine(),
        "Made with `--quick`: shows that everything works, measures nothing." if quick else "",
        compared.table(lines),
        f"Lines with a miss: {', '.join(missed) or 'none'}.",
        "\n".join(failed),
        f"Time per benchmark: {spent}.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def main(argv: list[str] | None = None) -> int:
    """Measure the missing lines and write the table; returns 1 if a benchmark failed."""
    config, options, _ = cli.parse(__doc__.split("\n\n")[0], sections=("corpus",), options=Options, argv=argv)
    asked = (config.corpus, config.preset, options.model, options.repetitions, options.quick)
    folders = {name: artifacts_dir() / "benchmarks" / fingerprint(state_of_the_code(name), *asked) for name in MODULES}
    output = Path(options.output) if options.output else RESULTS
    results = {module: read(module, folder) for module, folder in folders.items()}
    for module in chosen(options.lines):
        if results[module] is None or options.again:
            (folders[module] / f"{module}.json").unlink(missing_ok=True)
            print(f"== {module}: {', '.join(MODULES[module])}", flush=True)
            results[module] = measure(module, config, options, folders[module])
        kept = results[module]
        print("\n".join(map(compared.text, kept.lines)) or f"failed: {kept.error}", flush=True)
        output.write_text(document([one for one in results.values() if one], options.quick), encoding="utf-8")
    print(f"table: {output}")
    return int(any(kept.error for kept in results.values() if kept))


if __name__ == "__main__":
    cli.run(main)
