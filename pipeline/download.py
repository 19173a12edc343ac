"""Download of a corpus from its publisher, once its licence is accepted: ``python -m pipeline.download CORPUS DIR``.

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
from pipeline.corpora.download import transfer, unpack
from pipeline.corpora.download.publishers import PUBLISHERS, File, Publisher
from pipeline.errors import ConfigError, DownloadError

NOTES, LOCK = "downloaded.json", ".downloading"


@dataclass(frozen=True)
class DownloadOptions:
    """Corpus to download, and its folder."""

    what: tuple[str, ...] = option((), "corpus and folder; without them: list the corpora that can be downloaded")
    accept_licence: bool = option(False, "accept the licence of the corpus without a question")
    keep_archives: bool = option(False, "keep each archive after it is unpacked")


def fetch(
    publisher: Publisher,
    folder: Path,
    *,
    keep_archives: bool = False,
    zenodo: str = transfer.ZENODO,
    pause_s: float = transfer.PAUSE_S,
) -> list[str]:
    """Fetch and unpack what is missing; returns the names of the files. See ``transfer`` for the last two parameters.

    Raises ``DownloadError`` for a file that is not the published one, and if another process works in ``folder``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    taken = DownloadError(f"{folder}: another process downloads to it; wait for it, or stop it")
    with files.locked(folder / LOCK, taken):
        wanted = list(publisher.files)
        for record in publisher.records:
            wanted += transfer.record_files(record, zenodo=zenodo)
        done = _notes(folder)
        for file in wanted:
            if done.get(file.name) == _note(file):
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
    """Corpora that can be downloaded, with size, licence and page."""
    lines = [f"{'corpus':<17}{'size':>9}  licence, page"]
    for name, publisher in PUBLISHERS.items():
        hand = "" if publisher.files or publisher.records else "by hand: "
        lines.append(f"{name:<17}{publisher.size:>9}  {hand}{publisher.licence}, {publisher.page}")
    return "\n".join(lines)


def _accepted(corpus: str, publisher: Publisher) -> bool:
    print(f"{corpus} is published under: {publisher.licence}\nIts page: {publisher.page}", flush=True)
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
        raise ConfigError(f"{' '.join(options.what)!r}: expected a corpus and a folder")
    corpus, folder = options.what
    if corpus not in PUBLISHERS:
        raise ConfigError(f"{corpus!r} cannot be downloaded; choose one of {', '.join(PUBLISHERS)}")
    publisher = PUBLISHERS[corpus]
    if not (publisher.files or publisher.records):
        raise DownloadError(f"{corpus}: {publisher.by_hand}: {publisher.page}")
    if not options.accept_licence and not _accepted(corpus, publisher):
        print("not accepted, nothing was downloaded")
        return 1
    fetch(publisher, Path(folder), keep_archives=options.keep_archives)
    if publisher.by_hand:
        print(f"left to do: {publisher.by_hand}")
    print(f"complete: -P corpus={corpus} -P data_dir={folder}")
    return 0


if __name__ == "__main__":
    cli.run(main)
