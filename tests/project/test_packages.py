"""The order of the packages: each imports only what lies below it, and what scores needs no TensorFlow."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.config import PROJECT_ROOT
from tests.conftest import LONGEST

PIPELINE = PROJECT_ROOT / "pipeline"
ORDER = (
    *("page", "streaming", "serving", "evaluation", "registry", "reporting", "training", "network", "scoring"),
    *("corpora", "store", "metrics", "audio", "downloads", "common"),
)
"""From the highest to the lowest."""
SHARED = ("tracking", "config", "errors")
"""What packages may import of the top; each imports itself and those behind it only."""
COMMANDS = {
    *("main", "preprocess", "train", "evaluate", "compare", "cross", "fuse", "calibrate", "register", "export"),
    *("score", "stream", "analyse", "download", "latency", "drift", "measure", "unpack", "client"),
}
SCORING_PATH = ("audio", "metrics", "scoring", "serving", "streaming", "page")
MAY_PARSE = {PIPELINE / "page" / "__main__.py"}
"""Commands that live in a package."""


def imports(path: Path) -> Iterator[str]:
    """Full names of all that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def loaded_with(path: Path) -> set[Path]:
    """Files of the project that importing a file imports."""
    found, open_ = set(), [path]
    while open_:
        found.add(path := open_.pop())
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            files = {PROJECT_ROOT / f"{name.replace('.', '/')}.py" for name in names}
            open_ += [file for file in files - found if file.is_file()]
    return found


def test_what_loads_networks_registers_every_layer():
    registered = {p for p in PIPELINE.rglob("*.py") if "register_keras_serializable" in p.read_text(encoding="utf-8")}
    exports = {PIPELINE / "network" / "formats.py"}
    missing = registered - loaded_with(PIPELINE / "network" / "networks.py") - exports
    assert not missing, f"{', '.join(sorted(map(str, missing)))}: no saved network with its layers loads"


def test_every_package_has_its_place():
    packages = {path.parent.name for path in PIPELINE.glob("*/__init__.py")}
    assert packages == {*ORDER, "config"}


def test_the_top_level_holds_commands_and_what_all_share():
    found = {path.stem for path in PIPELINE.glob("*.py")} - {"__init__"}
    assert found == COMMANDS | {*SHARED, "cli"} - {"config"}


@pytest.mark.parametrize("package", ORDER)
def test_a_package_imports_only_what_lies_below_it(package):
    allowed = {*ORDER[ORDER.index(package) :], *SHARED}
    for path in (PIPELINE / package).rglob("*.py"):
        used = {name.split(".")[1] for name in imports(path) if name.startswith("pipeline.")}
        used -= {"cli"} if path in MAY_PARSE else set()
        assert used <= allowed, f"{path.relative_to(PROJECT_ROOT)} imports {', '.join(sorted(used - allowed))}"


@pytest.mark.parametrize("module", SHARED)
def test_a_shared_module_imports_no_package(module):
    files = [*PIPELINE.glob(f"{module}.py"), *PIPELINE.glob(f"{module}/*.py")]
    used = {name.split(".")[1] for path in files for name in imports(path) if name.startswith("pipeline.")}
    assert files
    assert used <= {*SHARED[SHARED.index(module) :]}


@pytest.mark.parametrize("package", SCORING_PATH)
def test_what_scores_imports_no_tensorflow(package):
    for path in (PIPELINE / package).rglob("*.py"):
        found = {name.split(".")[0] for name in imports(path)} & {"tensorflow", "keras", "tf2onnx"}
        assert not found, f"{path.relative_to(PROJECT_ROOT)} imports {', '.join(found)}"


def test_the_files_that_tests_begin_with_exist():
    names = {path.name for path in (PROJECT_ROOT / "tests").rglob("test_*.py")}
    assert set(LONGEST) <= names
