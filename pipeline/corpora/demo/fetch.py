"""Debian packages of the demo corpus: downloaded by apt and unpacked in a folder, without root.

apt runs on lists and a cache in that folder, so it needs neither root nor lists of the system. The engines run from
the unpacked tree.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.errors import ProjectError

RECORDINGS = (
    "klettres-data",
    "ktuberling-data",
    *(f"asterisk-core-sounds-{language}-g722" for language in ("en", "es", "fr", "it", "ru")),
)
VOICES = {
    "festvox-kallpc16k": "kal_diphone",
    "festvox-kdlpc16k": "ked_diphone",
    "festvox-us-slt-hts": "cmu_us_slt_arctic_hts",
    "festvox-ca-ona-hts": "upc_ca_ona_hts",
    "festvox-italp16k": "lp_diphone",
    "festvox-itapc16k": "pc_diphone",
    "festvox-suopuhe-common": "",
    "festvox-suopuhe-lj": "suo_fi_lj_diphone",
    "festvox-suopuhe-mv": "hy_fi_mv_diphone",
}
"""Festival's name of the voice in each package; the common package holds the shared files of two voices."""
ENGINES = ("espeak-ng", "flite", "festival")
WAY_OUT = (
    "The demo corpus is made from Debian packages, which needs apt-get, dpkg-deb and access to a Debian mirror "
    "(Debian 12 or a system made from it). Without them use your own recordings, -P corpus=folder -P data_dir=DIR, or "
    "generated ones, -P corpus=synthetic"
)


@dataclass(frozen=True)
class Packages:
    """The unpacked tree, and name, version and licence file of each package in it."""

    tree: Path
    versions: dict[str, str]

    def environment(self) -> dict[str, str]:
        """Environment variables with the libraries of the unpacked engines."""
        return {**os.environ, "LD_LIBRARY_PATH": self._libraries}

    @cached_property
    def espeak_data(self) -> Path | None:
        """Folder that holds espeak-ng's data; ``None`` if the engine is not unpacked."""
        data = next((self.tree / "usr" / "lib").rglob("espeak-ng-data"), None)
        return data.parent if data else None

    @cached_property
    def _libraries(self) -> str:
        return ":".join(sorted({str(path.parent) for path in self.tree.rglob("lib*.so*")}))

    def program(self, name: str) -> str:
        """Path of an engine: the unpacked one, otherwise that of the system."""
        unpacked = self.tree / "usr" / "bin" / name
        found = str(unpacked) if unpacked.exists() else shutil.which(name)
        if not found:
            raise ProjectError(f"{name} is neither unpacked in {self.tree} nor installed. {WAY_OUT}")
        return found

    def source(self, speaker: str) -> str:
        """Package of a speaker, by its tag (package or engine, language, voice)."""
        origin, language, voice = speaker.split("_")
        if origin == "asterisk":
            return f"asterisk-core-sounds-{language}-g722"
        if origin.startswith("festival"):
            return next(name for name, own in VOICES.items() if own.replace("_", "-") == voice)
        return {"espeak": "espeak-ng", "flite": "flite"}.get(origin, f"{origin}-data")

    def licences(self, package: str) -> list[str]:
        """Names of the licences in the package's copyright file; empty if the file is in another package.

        A file in Debian's machine-readable format names them. Others cite full texts that Debian ships, or grant use
        without restriction, as the licences of X11 and Festival do.
        """
        return named_licences(self.tree, package)


def named_licences(tree: Path, package: str) -> list[str]:
    """``Packages.licences`` of any unpacked tree."""
    copyright_file = tree / "usr" / "share" / "doc" / package / "copyright"
    if not copyright_file.is_file():
        return []
    text = copyright_file.read_text(encoding="utf-8", errors="replace")
    named = {name.strip() for name in re.findall(r"^License:(.*)$", text, re.MULTILINE)} - {""}
    if not named:
        named = {name.rstrip(".") for name in re.findall(r"common-licenses/([\w.-]+)", text)}
        named |= {"X11-style"} if "without restriction" in " ".join(text.split()) else set()
    return sorted(named)


def fetch(folder: Path) -> Packages:
    """Download and unpack the packages under ``folder``, once.

    Raises ``ProjectError`` with the remedy if apt is missing or fails.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if not shutil.which(tool):
            raise ProjectError(f"{tool} is not on this machine. {WAY_OUT}")
    archives, tree = folder / "archives", folder / "tree"
    complete = folder / "complete"
    if not complete.exists():
        apt(folder, "update")
        needed = apt(folder, "install", "--simulate", "--no-install-recommends", *ENGINES, *VOICES)
        names = {line.split()[1] for line in needed.splitlines() if line.startswith("Inst ")}
        archives.mkdir(parents=True, exist_ok=True)
        apt(folder, "download", *sorted(names | {*RECORDINGS, *VOICES, *ENGINES}), cwd=archives)
        shutil.rmtree(tree, ignore_errors=True)
        for archive in sorted(archives.glob("*.deb")):
            run(["dpkg-deb", "--extract", str(archive), str(tree)], what=f"unpacking {archive.name}")
        complete.touch()
    versions = {}
    for archive in sorted(archives.glob("*.deb")):
        name, version, _ = archive.stem.split("_")
        versions[name] = version.replace("%3a", ":")
    return Packages(tree, versions)


def apt(folder: Path, *arguments: str, cwd: Path | None = None) -> str:
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
    return run(["apt-get", "-q", *settings, *arguments], what=f"apt-get {arguments[0]}", cwd=cwd)


def run(command: list[str], *, what: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        reason = next((line for line in done.stderr.splitlines() if line.startswith("E:")), done.stderr[-300:])
        raise ProjectError(f"{what} failed: {reason.strip()}. {WAY_OUT}")
    return done.stdout
