"""What surrounds the code agrees with it: pins and locks, MLproject and the commands, Makefile and CI."""

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipeline import cli
from pipeline.registry.registered_model import SERVING_PACKAGES

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-gpu.lock")
ALL_LOCKS = (*LOCKS, "requirements-page.lock", "requirements-serving.lock")
PLATFORMS = (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64"))
VOCABULARY = {
    *("preset", "config", "corpus", "data_dir", "parts", "split_by", "subset", "store", "backbone", "model"),
    *("against", "input", "output", "engine", "master", "require_gpu", "deterministic", "seed"),
}
"""Options that every command which has them calls by the same name, and MLproject lists."""
MODULES = {
    "main": "pipeline.main",
    "preprocess": "pipeline.preprocess",
    "train": "pipeline.train",
    "evaluate": "pipeline.evaluate",
    "compare": "pipeline.compare",
    "cross": "pipeline.cross",
    "tune": "tuning.search",
    "fuse": "pipeline.fuse",
    "calibrate": "pipeline.calibrate",
    "register": "pipeline.register",
    "score": "pipeline.score",
    "export": "pipeline.export",
    "stream": "pipeline.stream",
    "analyse": "pipeline.analyse",
    "drift": "pipeline.drift",
    "measure": "pipeline.measure",
}
"""Entry point to the module it runs."""


def logical_lines(lock: str) -> list[str]:
    """Lines of a lock with continuations joined and comments dropped."""
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def pins(requirements: list[str], platform: str = "linux", machine: str = "x86_64") -> dict[str, str]:
    """Package to the one version that it is pinned to, on Python 3.11 of a platform."""
    where = {"sys_platform": platform, "platform_machine": machine, "python_full_version": "3.11.2"}
    found: dict[str, str] = {}
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate(where):
            continue
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", text
        name = canonicalize_name(requirement.name)
        assert found.setdefault(name, specifier.version) == specifier.version, text
    return found


def locked(lock: str, *where: str) -> dict[str, str]:
    """Package to locked version."""
    return pins([line.split(" --hash=")[0] for line in logical_lines(lock)], *where)


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def mlproject() -> dict:
    return yaml.safe_load((ROOT / "MLproject").read_text())


# Versions


def test_conda_names_pyprojects_versions(project):
    conda = yaml.safe_load((ROOT / "conda.yaml").read_text())
    python, pip, packages = conda["dependencies"]
    assert (python, pip, list(packages)) == ("python=3.11", "pip", ["pip"])
    wanted = pins([*project["dependencies"], *project["optional-dependencies"]["gpu"]])
    for platform in PLATFORMS:
        assert pins(packages["pip"], *platform) == wanted


def test_conda_installs_tensorflow_for_gpus_on_linux_alone():
    packages = yaml.safe_load((ROOT / "conda.yaml").read_text())["dependencies"][-1]["pip"]
    tensorflow = [r for r in map(Requirement, packages) if r.name == "tensorflow"]
    for platform, extras in (("linux", {"and-cuda"}), ("darwin", set()), ("win32", set())):
        (chosen,) = [r for r in tensorflow if r.marker.evaluate({"sys_platform": platform})]
        assert chosen.extras == extras


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(("lock", "build"), [("requirements.lock", "cpu"), ("requirements-gpu.lock", "gpu")])
def test_lock_names_pyprojects_versions(project, lock, build, platform):
    extras = project["optional-dependencies"]
    wanted = pins([*project["dependencies"], *extras[build], *extras["dev"]], *platform)
    versions = locked(lock, *platform)
    assert {name: versions.get(name) for name in wanted} == wanted


def test_locks_differ_in_tensorflow_alone():
    cpu, gpu = map(locked, LOCKS)
    both = cpu.keys() & gpu.keys()
    assert {name: cpu[name] for name in both} == {name: gpu[name] for name in both}
    assert cpu.keys() - gpu.keys() == {"tensorflow-cpu"}
    assert gpu.keys() - cpu.keys() > {"tensorflow"}
    assert all(name.startswith("nvidia-") for name in gpu.keys() - cpu.keys() - {"tensorflow"})


def test_sparks_lock_names_pyprojects_version_with_hashes(project):
    lines = logical_lines("requirements-spark.lock")
    versions = pins([line.split(" --hash=")[0] for line in lines])
    assert set(versions) == {"pyspark", "py4j"}
    assert {"pyspark": versions["pyspark"]} == pins(project["optional-dependencies"]["spark"])
    assert all(re.fullmatch(r"\S+( --hash=sha256:[0-9a-f]{64})+", " ".join(line.split())) for line in lines)


@pytest.mark.parametrize("lock", ALL_LOCKS)
def test_lock_has_hashes_for_all(lock):
    lines = logical_lines(lock)
    assert len(lines) > 50
    for line in lines:
        requirement, *hashes = line.split(" --hash=")
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", h) for h in hashes), requirement


@pytest.mark.parametrize("lock", ALL_LOCKS)
def test_lock_names_no_index_host_or_place(lock):
    text = (ROOT / lock).read_text()
    assert not re.search(r"://|index-url|find-links|trusted-host", text)
    assert not re.search(r"^\s*(-|/|\.)(?!-hash=)", text, flags=re.MULTILINE)
    assert not any(Requirement(line.split(" --hash=")[0]).url for line in logical_lines(lock))


@pytest.mark.parametrize("group", ["page", "serving"])
def test_images_hold_the_projects_versions_without_tensorflow(group):
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"][group]
    everything, small = locked("requirements.lock"), locked(f"requirements-{group}.lock")
    assert pins(named).items() <= small.items() <= everything.items()
    assert group == "page" or {*SERVING_PACKAGES} <= pins(named).keys()
    assert not {"tensorflow", "tensorflow-cpu", "keras"} & small.keys()


# MLproject


def test_mlproject_uses_the_conda_file_and_has_all_entry_points(mlproject):
    assert mlproject["conda_env"] == "conda.yaml"
    assert set(mlproject["entry_points"]) == set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_entry_point_lists_its_share_of_the_vocabulary(mlproject, name):
    module = importlib.import_module(MODULES[name])
    entry = mlproject["entry_points"][name]
    shared = [option for option in cli.option_names(module.main.sections, module.main.options) if option in VOCABULARY]
    assert set(entry["parameters"]) == set(shared)
    assert all(about == {"type": "string", "default": ""} for about in entry["parameters"].values())


@pytest.mark.parametrize("name", MODULES)
def test_entry_points_command_hands_every_parameter_on(mlproject, name):
    entry = mlproject["entry_points"][name]
    values = {option: f"it's {option}" for option in entry["parameters"]}
    words = shlex.split(entry["command"].format(**{o: shlex.quote(v) for o, v in values.items()}))
    assert words[:3] == ["python", "-m", MODULES[name]]
    assert words[3:] == [word for option, value in values.items() for word in (f"--{option}", value)]


@pytest.mark.parametrize("name", MODULES)
def test_entry_point_with_nothing_given_is_the_bare_command(mlproject, name):
    module = importlib.import_module(MODULES[name])
    entry = mlproject["entry_points"][name]
    words = shlex.split(entry["command"].format(**dict.fromkeys(entry["parameters"], "''")))
    settings = {"sections": module.main.sections, "options": module.main.options}
    assert cli.parse("", argv=words[3:], **settings) == cli.parse("", argv=[], **settings)


# Makefile and CI


def make(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess:
    """``make`` as a person would start it, with nothing on standard input."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def listed_targets() -> dict[str, str]:
    done = make("help")
    assert done.returncode == 0, done.stderr
    return dict(re.findall(r"^make (\S+) +(\S.*)$", done.stdout, flags=re.MULTILINE))


def test_help_lists_every_target_and_is_the_default(listed_targets):
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    rules = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(listed_targets) == set(phony.split()) == set(rules)
    assert make().stdout == make("help").stdout


def test_ci_calls_targets_that_help_lists(listed_targets):
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    in_workflow = re.findall(r"^make (\S+)$", "\n".join(steps), flags=re.MULTILINE)
    in_script = re.findall(r"^(?:exec )?make (\S+)", (ROOT / ".ci/run").read_text(), flags=re.MULTILINE)
    assert in_workflow == in_script == ["install", "spark", "lint", "test"]
    assert set(in_workflow) <= set(listed_targets)
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_install_refuses_another_python(tmp_path):
    other = tmp_path / "python"
    other.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c \'import sys; sys.version = "3.14.1"; exec(sys.argv[1])\' "$2"\n'
    )
    other.chmod(0o755)
    done = make("install", f"PYTHON={other}", f"VENV={tmp_path / 'venv'}")
    assert done.returncode != 0
    assert f"error: {other} is Python 3.14.1; this project needs 3.11, 3.12 or 3.13" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_install_does_nothing_while_the_lock_is_the_same(tmp_path):
    (tmp_path / "venv").mkdir()
    shutil.copy(ROOT / "requirements.lock", tmp_path / "venv/installed.lock")
    done = make("install", "PYTHON=/none", f"VENV={tmp_path / 'venv'}")
    assert (done.returncode, done.stderr) == (0, "")


def test_clean_asks_and_then_removes_what_runs_made_alone(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    made = ["artifacts/data/one/part-0.arrow", "mlruns/1/run/meta.yaml", "mlflow.db"]
    kept = ["artifacts/README.md", "artifacts/pretrained/whisper/model.keras", "pipeline/errors.py", "mlflow.yaml"]
    for name in made + kept:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert make("clean", folder=tmp_path).returncode != 0
    assert all((tmp_path / name).exists() for name in made + kept)
    assert make("clean", "YES=1", folder=tmp_path).returncode == 0
    left = sorted(str(f.relative_to(tmp_path)) for f in tmp_path.rglob("*") if f.is_file())
    assert left == sorted(["Makefile", *kept])


def test_licence_is_apache_2(project):
    assert project["license"] == "Apache-2.0"
    head = (ROOT / "LICENSE").read_text().split()[:4]
    assert head == ["Apache", "License", "Version", "2.0,"]
