"""Download of a corpus or a speech encoder, once its licence is accepted: ``python -m pipeline.download NAME DIR``.

Files are downloaded one by one, checked against the published size and checksum, and unpacked. ``DIR/downloaded.json``
lists the finished ones, so the same command resumes after a stop.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from pipeline import cli
from pipeline.common import files
from pipeline.config import Config, option
from pipeline.downloads import records, transfer, unpack
from pipeline.downloads.publishers import CORPORA, ENCODERS, File, Publisher
from pipeline.errors import ConfigError, DownloadError

NOTES, LOCK = "downloaded.json", ".downloading"


@dataclass(frozen=True)
class DownloadOptions:
    """Corpus or speech encoder to download, and its folder."""

    what: tuple[str, ...] = option((), "corpus or encoder, and folder; without them: list what can be downloaded")
    revision: str = option("", "revision of an encoder's repository: branch, commit or refs/pr/NUMBER; empty: main")
    accept_licence: bool = option(False, "accept the licence without a question")
    keep_archives: bool = option(False, "keep each archive after it is unpacked")


def fetch(
    publisher: Publisher,
    folder: Path,
    *,
    revision: str = "main",
    keep_archives: bool = False,
    zenodo: str = records.ZENODO,
    hub: str = records.HUB,
    pause_s: float = transfer.PAUSE_S,
) -> list[str]:
    """Fetch and unpack what is missing; returns the names of the files.

    ``zenodo`` and ``hub`` are the addresses of these servers; ``pause_s`` as in ``transfer.fetch``.

    Raises ``DownloadError`` for a file that is not the published one, and if another process works in ``folder``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    taken = DownloadError(f"{folder}: another process downloads to it; wait for it, or stop it")
    with files.locked(folder / LOCK, taken):
        wanted = list(publisher.files)
        for record in publisher.records:
            wanted += records.zenodo_files(record, server=zenodo)
        if publisher.repository:
            wanted += records.hub_files(publisher.repository, revision, server=hub)
        done = _notes(folder)
        for file in wanted:
            if _is_done(file, folder, done.get(file.name, {})):
                continue
            path = transfer.fetch(file, folder, pause_s=pause_s)
            if unpack.is_archive(path):
                print(f"unpacking {path.name}", file=sys.stderr, flush=True)
                unpack.unpack(path, folder)
                if not keep_archives:
                    path.unlink()
            done[file.name] = _note(file)
            files.write_json(folder / NOTES, done)
    return [file.name for file in wanted]


def _is_done(file: File, folder: Path, note: dict) -> bool:
    """Whether a note is of this file, which may have moved to another address since."""
    same = note == _note(file) or (file.checksum and note.get("checksum") == file.checksum)
    return bool(same) and (unpack.is_archive(folder / file.name) or (folder / file.name).is_file())


def _note(file: File) -> dict[str, object]:
    return {"url": file.url, "size_bytes": file.size_bytes, "checksum": file.checksum}


def _notes(folder: Path) -> dict[str, dict]:
    path = folder / NOTES
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise DownloadError(f"{path}: damaged ({error}); delete it to start over") from None


def listing() -> str:
    """Corpora and encoders that can be downloaded, with size, licence and page."""
    lines = []
    for what, publishers in (("corpus", CORPORA), ("encoder", ENCODERS)):
        lines.append(f"{what:<19}{'size':>9}  licence, page")
        for name, publisher in publishers.items():
            hand = "" if publisher.reachable else "by hand: "
            lines.append(f"{name:<19}{publisher.size:>9}  {hand}{publisher.licence}, {publisher.page}")
    return "\n".join(lines)


def _accepted(name: str, publisher: Publisher) -> bool:
    print(f"{name} is published under: {publisher.licence}\nIts page: {publisher.page}", flush=True)
    if not sys.stdin.isatty():
        raise ConfigError("no terminal to ask for acceptance: read the licence, then add --accept_licence true")
    return input("Accept it? [y/N] ").strip().lower() in ("y", "yes")


@cli.command(options=DownloadOptions)
def main(_: Config, options: DownloadOptions) -> int:
    """Entry point of ``python -m pipeline.download``."""
    if not options.what:
        print(listing())
        return 0
    if len(options.what) != 2:
        raise ConfigError(f"{' '.join(options.what)!r}: expected a corpus or an encoder, and a folder")
    name, folder = options.what
    publishers = CORPORA | ENCODERS
    if name not in publishers:
        raise ConfigError(f"{name!r} cannot be downloaded; choose one of {', '.join(publishers)}")
    publisher = publishers[name]
    if not publisher.reachable:
        raise DownloadError(f"{name}: {publisher.by_hand}: {publisher.page}")
    if options.revision and not publisher.repository:
        raise ConfigError(f"--revision {options.revision!r}: {name} lies in no repository; give none")
    if not options.accept_licence and not _accepted(name, publisher):
        print("not accepted, nothing was downloaded")
        return 1
    fetch(publisher, Path(folder), revision=options.revision or "main", keep_archives=options.keep_archives)
    if publisher.by_hand:
        print(f"left to do: {publisher.by_hand}")
    corpus, encoder = f"-P corpus={name} -P data_dir={folder}", f"--backbone {publisher.backbone} --encoder {folder}"
    print(f"complete: {corpus if name in CORPORA else encoder}")
    return 0


if __name__ == "__main__":
    cli.run(main)
