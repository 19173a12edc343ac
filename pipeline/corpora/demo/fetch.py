"""Debian packages for the demo corpus: downloaded by apt and unpacked in a folder of our own, without root.

apt works here on lists and a cache of its own, so it needs neither root nor lists that the system has fetched. The
engines are run from the unpacked tree.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ProjectError

RECORDINGS = (
    "klettres-data",
    "ktuberling-data",
    *(f"asterisk-core-sounds-{language}-g722" for language in ("en", "es", "fr", "it", "ru")),
)
VOICES = (
    "festvox-kallpc16k",
    "festvox-kdlpc16k",
    "festvox-us-slt-hts",
    "festvox-ca-ona-hts",
    "festvox-italp16k",
    "festvox-itapc16k",
    "festvox-suopuhe-common",
    "festvox-suopuhe-lj",
    "festvox-suopuhe-mv",
)
ENGINES = ("espeak-ng", "flite", "festival")
WAY_OUT = (
    "The demo corpus is made from Debian packages, which takes apt-get, dpkg-deb, and the way to a Debian mirror "
    "(Debian 12 or a system made from it). Without them use recordings of your own, -P corpus=folder -P data_dir=DIR, "
    "or generated ones, -P corpus=synthetic"
)


@dataclass(frozen=True)
class Packages:
    """The unpacked tree, and name, version and licence file of each package in it."""

    tree: Path
    versions: dict[str, str]

    def environment(self) -> dict[str, str]:
        """Environment in which the unpacked engines find their libraries."""
        libraries = sorted({str(path.parent) for path in self.tree.rglob("lib*.so*")})
        return {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)}

    def program(self, name: str) -> str:
        """Path of an engine: the unpacked one, or the system's where it is installed already."""
        unpacked = self.tree / "usr" / "bin" / name
        found = str(unpacked) if unpacked.exists() else shutil.which(name)
        if not found:
            raise ProjectError(f"{name} is neither unpacked in {self.tree} nor installed. {WAY_OUT}")
        return found

    def licences(self, package: str) -> list[str]:
        """Names of the licences in the package's copyright file; empty where its file is in another package."""
        copyright_file = self.tree / "usr" / "share" / "doc" / package / "copyright"
        if not copyright_file.is_file():
            return []
        lines = copyright_file.read_text(encoding="utf-8", errors="replace").splitlines()
        return sorted({line.split(":", 1)[1].strip() for line in lines if line.startswith("License:")} - {""})


def fetch(folder: Path) -> Packages:
    """Download and unpack everything under ``folder``; what is there already is not fetched again.

    Raises ``ProjectError`` with the remedy where apt is missing or refuses.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if not shutil.which(tool):
            raise ProjectError(f"{tool} is not on this machine. {WAY_OUT}")
    archives, tree = folder / "archives", folder / "tree"
    complete = folder / "complete"
    if not complete.exists():
        _apt(folder, "update")
        needed = _apt(folder, "install", "--simulate", "--no-install-recommends", *ENGINES, *VOICES)
        names = {line.split()[1] for line in needed.splitlines() if line.startswith("Inst ")}
        archives.mkdir(parents=True, exist_ok=True)
        _apt(folder, "download", *sorted(names | {*RECORDINGS, *VOICES, *ENGINES}), cwd=archives)
        shutil.rmtree(tree, ignore_errors=True)
        for archive in sorted(archives.glob("*.deb")):
            _run(["dpkg-deb", "--extract", str(archive), str(tree)])
        complete.touch()
    versions = {}
    for archive in sorted(archives.glob("*.deb")):
        name, version, _ = archive.stem.split("_")
        versions[name] = version.replace("%3a", ":")
    return Packages(tree, versions)


def _apt(folder: Path, *arguments: str, cwd: Path | None = None) -> str:
    for part in ("lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    options = {
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "",
        "Debug::NoLocking": "true",
        "Acquire::Retries": "3",
    }
    settings = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    print(f"apt-get {arguments[0]} …", file=sys.stderr, flush=True)
    return _run(["apt-get", "-q", *settings, *arguments], cwd=cwd)


def _run(command: list[str], cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        reason = next((line for line in done.stderr.splitlines() if line.startswith("E:")), done.stderr[-300:])
        raise ProjectError(f"{' '.join(command[:1] + command[-1:])} failed: {reason.strip()}. {WAY_OUT}")
    return done.stdout
