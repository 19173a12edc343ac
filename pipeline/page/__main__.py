"""Serve the web page: drop recordings into a browser, play them, and see their scores.

Only this machine can reach it, unless --host gives another address. Recordings are not stored.
"""

import contextlib
import sys
from dataclasses import dataclass

from pipeline import cli
from pipeline.common import parallel
from pipeline.config import Config, option
from pipeline.errors import ConfigError

MIN_PORT, MAX_PORT = 0, 65535


@dataclass(frozen=True)
class PageOptions:
    """Model and address of the page."""

    model: str = option("", "model folder, runs:/ID or models:/NAME@ALIAS; empty: the champion that register left")
    host: str = option("127.0.0.1", "address to listen on; 0.0.0.0: every address of this machine")
    port: int = option(8000, "port; 0: any free one")
    names: str = option("", "host names, comma separated, by which others reach the page")
    max_mb: float = option(50.0, "largest upload, in MB")
    workers: int = option(0, "recordings scored at once; 0: one per core")


@cli.command(options=PageOptions)
def main(_: Config, options: PageOptions) -> int:
    """Serve the page until it is stopped."""
    if not MIN_PORT <= options.port <= MAX_PORT or options.max_mb <= 0 or options.workers < 0:
        raise ConfigError(
            f"--port {options.port} --max_mb {options.max_mb:g} --workers {options.workers}: expected a port from "
            f"{MIN_PORT} to {MAX_PORT}, MB above 0 and 0 workers or more"
        )
    import uvicorn

    from pipeline.page import server
    from pipeline.scoring import detector, model_folders

    workers = options.workers or parallel.cores()
    model = model_folders.ModelFolder.load(model_folders.find(options.model))
    names = server.LOCAL_NAMES | {name.strip().lower() for name in options.names.split(",") if name.strip()}
    app = server.create(
        detector.Pool(model, workers),
        workers=workers,
        limits=server.PageLimits(max_mb=options.max_mb),
        names=frozenset(names),
    )
    config = uvicorn.Config(app, options.host, options.port, log_level="warning", server_header=False)
    listening = config.bind_socket()
    # From now on visitors wait and are not refused.
    listening.listen()
    host = f"[{options.host}]" if ":" in options.host else options.host
    print(f"model {model.model_version}: http://{host}:{listening.getsockname()[1]}", flush=True)
    if options.host not in ("127.0.0.1", "::1", "localhost"):
        print("others can reach this page; it has no password and no encryption", file=sys.stderr)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])
    return 0


if __name__ == "__main__":
    cli.run(main)
