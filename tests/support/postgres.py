"""A PostgreSQL server of its own for a test: a cluster in a temporary folder, as an unprivileged user."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.server import free_port

USER = "postgres"
"""The user that Debian's package makes; PostgreSQL refuses to run as root."""


def programs() -> Path | None:
    """The folder of the newest server that is installed, on the path or where Debian puts it."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = shutil.which("initdb") or (debian[-1] if debian else None)
    return Path(found).resolve().parent if found else None


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """URL of an empty database on a server that lives as long as the block; ``folder`` holds ``initdb``."""
    as_user = ["runuser", "-u", USER, "--"] if os.geteuid() == 0 else []
    place = Path(tempfile.mkdtemp(prefix="postgres-"))
    if as_user:
        shutil.chown(place, USER)

    def run(program: str, *arguments: str) -> None:
        command = [*as_user, str(folder / program), *arguments]
        subprocess.run(command, check=True, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    port = free_port()
    data = str(place / "data")
    try:
        run("initdb", "-D", data, "-U", USER, "--auth=trust", "--no-sync", "--encoding=UTF8")
        settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={place} -c fsync=off"
        run("pg_ctl", "-D", data, "-w", "-o", settings, "-l", str(place / "log.txt"), "start")
        try:
            yield f"postgresql://{USER}@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(place)
