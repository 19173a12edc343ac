"""The page's server in a thread of the test, over any application."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI


@contextmanager
def serving(app: FastAPI, **settings: object) -> Iterator[str]:
    """Host and port of a server of ``app`` that lives as long as the block."""
    config = uvicorn.Config(app, "127.0.0.1", 0, log_level="warning", ws="wsproto", **settings)
    listening = config.bind_socket()
    listening.listen()
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield "{}:{}".format(*listening.getsockname())
    finally:
        server.should_exit = True
        thread.join(20)
