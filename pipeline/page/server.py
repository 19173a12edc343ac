"""Server of the page: its files, one request per recording, streams and jobs.

Only jobs store recordings, until they are analysed, and only ``feedback`` keeps answers of visitors, if asked for. No
request names a path, and the cost of a request is bounded. The server refuses requests of other origins; the
Content-Security-Policy makes the browser refuse scripts and styles of other origins.
"""

import asyncio
import contextlib
import ipaddress
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from pipeline import audio
from pipeline.errors import AudioError
from pipeline.page import job_routes, openapi, streams, view
from pipeline.page.access import OPEN, Access, Passwords
from pipeline.page.feedback import Feedback
from pipeline.page.jobs import Jobs
from pipeline.page.streams import StreamLimits
from pipeline.scoring.pool import Pool
from pipeline.scoring.row import COLUMNS
from pipeline.serving.telemetry import PATH as METRICS_PATH
from pipeline.serving.telemetry import Telemetry

STATIC = Path(__file__).parent / "static"
FILES = {
    "/": ("index.html", "text/html"),
    "/style.css": ("style.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/api.html": ("api.html", "text/html"),
    "/example.flac": ("example.flac", "audio/flac"),
    **{f"/{path.name}": (path.name, "text/javascript") for path in sorted(STATIC.glob("*.js"))},
}
"""File and media type of each address."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
SCORING_PATH = "/api/recordings"
LOCAL_NAMES = frozenset({"localhost"})


@dataclass(frozen=True)
class PageLimits:
    """Limits on requests.

    ``max_waiting`` requests may wait besides those in progress; further ones get status 503. An upload must arrive
    within ``upload_s``.
    """

    max_mb: float = 50.0
    max_waiting: int = 8
    upload_s: float = 120.0

    @property
    def audio(self) -> audio.Limits:
        """Limits of decoding; ten minutes of stereo at 48 kHz are within them."""
        return audio.Limits(max_bytes=1e6 * self.max_mb, max_channels=8, max_rate_hz=192000, max_samples=1.5e8)


def create(
    pool: Pool,
    *,
    workers: int,
    limits: PageLimits,
    names: frozenset[str] = LOCAL_NAMES,
    feedback: Feedback | None = None,
    telemetry: Telemetry | None = None,
    access: Access | None = None,
    stream_limits: StreamLimits = StreamLimits(),  # noqa: B008
    jobs: Jobs | None = None,
) -> FastAPI:
    """The web application over a pool of ``workers`` detectors.

    ``names`` are the host names that it answers; it always answers numeric addresses. Answers go to ``feedback``,
    counts to ``telemetry``, which ``GET /metrics`` shows. With ``access`` only its users are answered.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=jobs.at_work if jobs else None)
    seats = _Seats(workers + limits.max_waiting)
    scorers = streams.Scorers(pool.model, workers, stream_limits)

    @app.middleware("http")
    async def guard(request: Request, call_next) -> Response:
        started = time.perf_counter()
        answer = _refused(request, names, access) or await call_next(request)
        answer.headers.update(HEADERS)
        if telemetry and request.url.path == SCORING_PATH:
            telemetry.request(answer.status_code, time.perf_counter() - started)
        return answer

    for address, (name, kind) in FILES.items():
        app.add_api_route(address, _file(STATIC / name, kind), methods=["GET"])

    @app.get("/openapi.json")
    async def description() -> dict:
        return openapi.document()

    @app.get("/api/model")
    async def model(request: Request) -> dict:
        folder = pool.model
        return {
            "user": access.user(request) if access else "",
            "logs_out": isinstance(access, Passwords),
            "model_version": folder.model_version,
            "operating_point": folder.operating_point,
            "threshold": folder.point().threshold,
            "max_mb": limits.max_mb,
            "max_s": folder.config.audio.max_s,
            "max_job_mb": jobs.limits.max_mb if jobs else 0,
            "columns": COLUMNS,
            "stores": [] if not feedback else ["answers", "recordings"] if feedback.keep else ["answers"],
        }

    @app.post(SCORING_PATH)
    async def recordings(request: Request) -> JSONResponse:
        with seats.taken():
            recording = await _body(request, limits)
            shown = await run_in_threadpool(_view, pool, recording, limits, feedback)
        if telemetry:
            telemetry.rows([shown["row"]])
        return JSONResponse(shown)

    @app.post("/api/audio")
    async def decoded(request: Request) -> Response:
        with seats.taken():
            recording = await _body(request, limits)
            try:
                return Response(await run_in_threadpool(_wav, pool, recording, limits), media_type="audio/wav")
            except AudioError as error:
                raise HTTPException(422, str(error)) from None

    if feedback:

        @app.post("/api/feedback", status_code=204)
        async def answered(request: Request, recording: str, answer: str, name: str = "") -> None:
            with seats.taken():
                body = await _body(request, limits)
                await run_in_threadpool(feedback.add, recording, answer, name, body)

    if isinstance(access, Passwords):
        access.add_routes(app)
        app.add_api_route("/login", _file(STATIC / "login.html", "text/html"), methods=["GET"])

    if telemetry:

        @app.get(METRICS_PATH)
        async def metrics() -> Response:
            text, kind = telemetry.text()
            return Response(text, headers={"Content-Type": kind})

    @app.websocket("/stream")
    async def stream(socket: WebSocket) -> None:
        if refused := _refused(socket, names, access):
            await socket.send_denial_response(refused)
        else:
            await streams.serve(socket, scorers)

    if jobs:
        job_routes.add(app, jobs)
    return app


class _Seats:
    """Requests in progress and waiting."""

    def __init__(self, count: int):
        self._free = count

    @contextlib.contextmanager
    def taken(self):
        """Hold a seat inside the block; without a free one the request gets status 503."""
        if self._free == 0:
            raise HTTPException(503, "busy: too many recordings at once; try again", {"Retry-After": "2"})
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


def _view(pool: Pool, recording: bytes, limits: PageLimits, feedback: Feedback | None) -> dict:
    with pool.detector() as detector:
        shown = view.view(detector, recording, limits=limits.audio)
    return shown | ({"recording": feedback.remember(recording, shown["row"])} if feedback else {})


def _wav(pool: Pool, recording: bytes, limits: PageLimits) -> bytes:
    with pool.detector() as detector:
        return view.wav(recording, detector, limits=limits.audio)


def _file(path: Path, kind: str):
    async def answer() -> FileResponse:
        return FileResponse(path, media_type=kind)

    return answer


async def _body(request: Request, limits: PageLimits) -> bytes:
    """Body of a request, refused as soon as it is too large."""
    most = int(1e6 * limits.max_mb)
    too_large = HTTPException(413, f"too large: at most {limits.max_mb:g} MB are taken")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        raise too_large
    received = bytearray()
    try:
        async with asyncio.timeout(limits.upload_s):
            async for part in request.stream():
                received += part
                if len(received) > most:
                    raise too_large
    except TimeoutError:
        raise HTTPException(408, f"the upload took more than {limits.upload_s:g} s") from None
    return bytes(received)


def _refused(asking: HTTPConnection, names: frozenset[str], access: Access | None) -> Response | None:
    """Answer to a request that is refused, or ``None``.

    An attacker can point a host name at this machine, and their page then has the origin of ours: only known names are
    answered. Posts must come from this origin, so other pages cannot use the detector, nor the session of a user: where
    there are users a post must name its origin, as browsers always do.
    """
    host, path = asking.headers.get("host", ""), asking.scope["path"]
    name = _address(f"//{host}").hostname or ""
    if name not in names and not _is_address(name):
        reason = f"the host {name!r} is not served; start the page with --names to allow it"
        return JSONResponse({"error": reason}, 403)
    origin = asking.headers.get("origin", "" if access else None)
    if asking.scope.get("method") != "GET" and origin is not None and _address(origin).netloc != host:
        return JSONResponse({"error": "requests of other pages are not answered"}, 403)
    if not access or path in OPEN or access.user(asking):
        return None
    if path == "/" and isinstance(access, Passwords):
        return RedirectResponse("/login", 303)
    return JSONResponse({"error": "this page is for its users; log in"}, 401)


def _address(text: str) -> SplitResult:
    """Parts of an address; all are empty for one that is none."""
    try:
        return urlsplit(text)
    except ValueError:
        return urlsplit("")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
