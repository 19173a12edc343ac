"""Serve the web page: drop recordings into a browser, play them, and see their scores.

Only this machine can reach it, unless --host gives another address. Recordings are stored only with --keep, and long
ones until they are analysed.
"""

import contextlib
import getpass
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline import cli
from pipeline.common import parallel
from pipeline.config import MODEL_HELP, Config, artifacts_dir, option
from pipeline.errors import ConfigError
from pipeline.metrics.calibration import FAMILIARITY

MIN_PORT, MAX_PORT = 0, 65535


@dataclass(frozen=True)
class PageOptions:
    """Model and address of the page."""

    model: str = option("", MODEL_HELP)
    host: str = option("127.0.0.1", "address to listen on; 0.0.0.0: every address of this machine")
    port: int = option(8000, "port; 0: any free one")
    names: str = option("", "host names, comma separated, by which others reach the page")
    max_mb: float = option(50.0, "largest upload, in MB")
    password_file: str = option("", "file of users and hashes of their passwords; empty: none is asked for")
    add_user: str = option("", "name of a user to add to --password_file: asks for the password, and ends")
    user_header: str = option("", "header in which a reverse proxy names the user, in place of passwords")
    trusted_proxies: str = option("127.0.0.1,::1", "addresses or networks whose --user_header is believed")
    familiarity: float = option(
        FAMILIARITY, "share of dev under which speech is unfamiliar and gets no verdict; 0: all gets one", least=0
    )
    workers: int = option(0, "recordings scored at once; 0: one per core")
    max_streams: int = option(50, "streams at once; 0: none", least=0)
    job_mb: float = option(800.0, "largest upload of a long recording, analysed by job, in MB; 0: no jobs", least=0)
    job_hours: float = option(24.0, "hours after which a job and its result are deleted", least=0)
    callbacks: str = option("", "hosts, comma separated, that may be told when a job is finished")
    feedback: str = option("", "CSV file to append visitors' answers to; --corpus table reads it; empty: none")
    keep: str = option("", "folder for the recordings that visitors answer about; empty: recordings are not stored")
    metrics: bool = option(False, "answer GET /metrics in Prometheus' format")
    keep_mb: float = option(1000.0, "most that this folder may hold, in MB", least=0)


@cli.command(options=PageOptions)
def main(_: Config, options: PageOptions) -> int:
    """Serve the page until it is stopped."""
    if not MIN_PORT <= options.port <= MAX_PORT or options.max_mb <= 0 or options.workers < 0:
        raise ConfigError(
            f"--port {options.port} --max_mb {options.max_mb:g} --workers {options.workers}: expected a port from "
            f"{MIN_PORT} to {MAX_PORT}, MB above 0 and 0 workers or more"
        )
    if options.add_user:
        return _add_user(options)
    if options.user_header and options.password_file:
        raise ConfigError("--user_header and --password_file are two ways to know a user; give one")
    if options.keep and not options.feedback:
        raise ConfigError(
            f"--keep {options.keep}: recordings are kept for their answers; name a table, --feedback FILE.csv"
        )
    import uvicorn

    from pipeline.page import access, server
    from pipeline.page.feedback import Feedback
    from pipeline.page.jobs import JobLimits
    from pipeline.page.streams import StreamLimits
    from pipeline.scoring import model_folders
    from pipeline.scoring.pool import Pool
    from pipeline.serving.telemetry import Telemetry

    workers = options.workers or parallel.cores()
    model = model_folders.ModelFolder.load(model_folders.find(options.model))
    points = {name: replace(own, familiarity=options.familiarity) for name, own in model.operating_points.items()}
    model = replace(model, operating_points=points)
    names = server.LOCAL_NAMES | _listed(options.names)
    job_limits = JobLimits(max_mb=options.job_mb, keep_h=options.job_hours, callbacks=_listed(options.callbacks))
    keep = Path(options.keep) if options.keep else None
    feedback = Feedback(Path(options.feedback), keep, options.keep_mb) if options.feedback else None
    users = None
    if options.user_header:
        users = access.ProxyHeader(options.user_header, options.trusted_proxies)
    elif options.password_file:
        users = access.Passwords(Path(options.password_file))
    app = server.create(
        Pool(model, workers),
        workers=workers,
        limits=server.PageLimits(max_mb=options.max_mb),
        names=names,
        jobs=_jobs(model, job_limits),
        stream_limits=(stream_limits := StreamLimits(streams=options.max_streams)),
        feedback=feedback,
        access=users,
        telemetry=Telemetry() if options.metrics else None,
    )
    # The address of a proxy is what its header is believed by: it must not become that of the visitor.
    config = uvicorn.Config(
        app,
        options.host,
        options.port,
        log_level="warning",
        server_header=False,
        ws="wsproto",
        ws_max_size=stream_limits.message_bytes,
        ws_per_message_deflate=False,
        proxy_headers=not options.user_header,
    )
    listening = config.bind_socket()
    # From now on visitors wait and are not refused.
    listening.listen()
    host = f"[{options.host}]" if ":" in options.host else options.host
    print(f"model {model.model_version}: http://{host}:{listening.getsockname()[1]}", flush=True)
    if options.host not in ("127.0.0.1", "::1", "localhost"):
        lacks = "no encryption" if users else "no password and no encryption"
        print(f"others can reach this page; it has {lacks}", file=sys.stderr)
    if feedback:
        print(
            f"answers go to {feedback.table}; recordings are {f'kept in {keep}' if keep else 'not stored'}",
            file=sys.stderr,
        )
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])
    return 0


def _jobs(model: "ModelFolder", limits: "JobLimits") -> "Jobs | None":  # noqa: F821
    from pipeline.page.jobs import Jobs

    try:
        return Jobs(artifacts_dir() / "jobs", model, limits) if limits.max_mb else None
    except ConfigError as error:
        print(f"{error}; this page takes no jobs", file=sys.stderr)
        return None


def _listed(text: str) -> frozenset[str]:
    """Names of a comma-separated list."""
    return frozenset(name.strip().lower() for name in text.split(",") if name.strip())


def _add_user(options: PageOptions) -> int:
    from pipeline.page import access

    if not options.password_file:
        raise ConfigError(f"--add_user {options.add_user}: name the file too, --password_file FILE")
    ask = getpass.getpass if sys.stdin.isatty() else lambda _: sys.stdin.readline().rstrip("\n")
    password = ask(f"password of {options.add_user}: ")
    if sys.stdin.isatty() and ask("again: ") != password:
        raise ConfigError("the two passwords differ; nothing was changed")
    access.add_user(Path(options.password_file), options.add_user, password)
    print(f"{options.add_user} can log in with --password_file {options.password_file}; restart the page")
    return 0


if __name__ == "__main__":
    cli.run(main)
