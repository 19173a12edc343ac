"""Guard around MLflow's scoring server: refuses requests that cost too much, cleans errors, logs latency.

MLflow limits no body, takes Parquet, which can unpack to any size, and quotes uploads and stack traces in its errors.
It has no setting for a middleware, but loads the model before it makes its application, so the model wraps the
application (``install``).
"""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable

from pipeline.serving.latency_log import LatencyLog
from pipeline.serving.settings import ServerSettings
from pipeline.serving.telemetry import PATH as METRICS_PATH
from pipeline.serving.telemetry import Telemetry

Receive = Callable[[], Awaitable[dict]]
Send = Callable[[dict], Awaitable[None]]
SCORING_PATH = "/invocations"
CONTENT_TYPES = ("application/json", "text/csv")
LONGEST_REASON = 500


class Guard:
    """ASGI middleware; only scoring requests are guarded. With ``telemetry`` it answers ``GET /metrics``."""

    def __init__(self, app: Callable, settings: ServerSettings, log: LatencyLog, telemetry: Telemetry | None = None):
        self._app, self._settings, self._log, self._telemetry = app, settings, log, telemetry
        self._max_bytes = round(settings.max_body_mb * 1e6)
        self._requests = 0

    async def __call__(self, scope: dict, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, self._logging_at_the_end(receive), send)
            return
        if self._telemetry and scope["type"] == "http" and scope["path"] == METRICS_PATH:
            text, kind = self._telemetry.text()
            await _send(send, 200, text, kind)
            return
        if scope["type"] != "http" or scope["path"] != SCORING_PATH:
            await self._app(scope, receive, send)
            return
        started, answer = time.perf_counter(), Answer(send)
        self._requests += 1
        try:
            await self._guarded(scope, receive, answer)
        finally:
            self._requests -= 1
            seconds = time.perf_counter() - started
            self._log.request(1000 * seconds, refused=answer.status >= 400)
            if self._telemetry:
                self._telemetry.request(answer.status, seconds)

    def _logging_at_the_end(self, receive: Receive) -> Receive:
        """Write the last line of the log at shutdown: the server ends by a signal, which skips Python's exit hooks."""

        async def noting_the_end() -> dict:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                self._log.write()
            return message

        return noting_the_end

    async def _guarded(self, scope: dict, receive: Receive, send: Send) -> None:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        kind = headers.get(b"content-type", "").split(";")[0].strip().lower()
        if self._requests > self._settings.max_requests:
            limit = self._settings.named("max_requests", "requests")
            await _refuse(send, 503, f"busy: {limit} are in progress; try again later")
            return
        if kind not in CONTENT_TYPES:
            await _refuse(send, 415, f"content type {kind!r}: send {' or '.join(CONTENT_TYPES)}")
            return
        announced = int(headers.get(b"content-length", "0"))
        # A client that asks before it sends its body is answered at once; others read no answer before they have sent.
        asks = headers.get(b"expect", "").lower() == "100-continue"
        try:
            async with asyncio.timeout(self._settings.max_request_s):
                body = None if asks and announced > self._max_bytes else await self._body(receive)
        except TimeoutError:
            await _refuse(send, 408, f"the body did not arrive within {self._settings.named('max_request_s', 's')}")
            return
        if body is None:
            limit = self._settings.named("max_body_mb", "MB")
            await _refuse(send, 413, f"the body is larger than {limit}: send fewer recordings per request")
            return
        whole = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def replay() -> dict:
            # After the body comes only the message that the client has left.
            return next(whole, None) or await receive()

        await self._app(scope, replay, send)

    async def _body(self, receive: Receive) -> bytes | None:
        """The body, or ``None`` if it is too large; nothing of a large one is kept, so its size costs no memory."""
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            part, more = message.get("body", b""), message.get("more_body", False)
            size += len(part)
            if size <= self._max_bytes:
                parts.append(part)
            else:
                parts.clear()
        return b"".join(parts) if size <= self._max_bytes else None


class Answer:
    """Send an answer of the application; an error only as its status and reason."""

    def __init__(self, send: Send):
        self._send, self._error = send, b""
        self.status = 500

    async def __call__(self, message: dict) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        if self.status < 400:
            await self._send(message)
            return
        self._error += message.get("body", b"")
        if message["type"] == "http.response.body" and not message.get("more_body"):
            await _refuse(self._send, self.status, reason(self._error))


async def _refuse(send: Send, status: int, message: str) -> None:
    await _send(
        send, status, json.dumps({"error_code": "BAD_REQUEST", "message": message}).encode(), "application/json"
    )


async def _send(send: Send, status: int, body: bytes, kind: str) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def reason(body: bytes) -> str:
    """The message of an error of MLflow, without the data of the request and the stack trace that it quotes."""
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:LONGEST_REASON]
    own = re.sub(r"(?s)^(Failed to (predict|enforce schema of) data .*?\bError: )+", "", message)
    return re.split(r"\s(?:Error|Input|IMPORTANT):", own)[0][:LONGEST_REASON]


def install(settings: ServerSettings, log: LatencyLog, telemetry: Telemetry | None = None) -> None:
    """Put the guard around every FastAPI application that this process makes from now on."""
    import fastapi

    class GuardedFastAPI(fastapi.FastAPI):
        """An application behind the guard."""

        def build_middleware_stack(self) -> Callable:
            """The application's own stack, entered through the guard."""
            return Guard(super().build_middleware_stack(), settings, log, telemetry)

    fastapi.FastAPI = GuardedFastAPI
