"""A real HTTP server that publishes files and misbehaves as it is told to: breaks off, lies, cannot resume."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Published:
    """A file and how it is served.

    ``breaks_after`` is the number of bytes after which each connection ends, ``claims`` a Content-Length that is not
    the file's, ``resumes`` whether Range is obeyed, ``kind`` its Content-Type, ``status`` an error to answer with.
    """

    content: bytes
    breaks_after: int | None = None
    claims: int | None = None
    resumes: bool = True
    kind: str = "application/octet-stream"
    status: int = 200
    etag: str = '"1"'


@dataclass
class Server:
    """Files by path, the address, and the path and Range of every request."""

    files: dict[str, Published] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""


@contextmanager
def serve() -> Iterator[Server]:
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            server.asked.append((self.path, wanted))
            file = server.files.get(self.path)
            if file is None or file.status != 200:
                self.send_error(file.status if file else 404)
                return
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and file.resumes else 0
            if self.headers.get("If-Range", file.etag) != file.etag:
                start = 0
            body = file.content[start:]
            if start and not body:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(file.content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(file.content) - 1}/{len(file.content)}")
            self.send_header("Content-Type", file.kind)
            self.send_header("ETag", file.etag)
            self.send_header("Content-Length", str(len(body) if file.claims is None else file.claims))
            self.end_headers()
            self.wfile.write(body if file.breaks_after is None else body[: file.breaks_after])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        http.shutdown()
        thread.join()
