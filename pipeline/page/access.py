"""Who may use the page: people with a password, or those whom a reverse proxy names in a header.

Passwords are kept as scrypt hashes. A session is a cookie that the server signs with a key of this process: it ends
after ``SESSION_S``, on logging out, and when the server stops. No password and no session is printed or logged.
"""

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import json
import re
import secrets
import time
from pathlib import Path
from typing import Protocol

from fastapi import FastAPI, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from pipeline.common import files
from pipeline.errors import ConfigError

COOKIE = "session"
SESSION_S = 12 * 3600
OPEN = frozenset({"/login", "/login.js", "/style.css", "/icon.svg", "/api/login", "/metrics"})
"""Addresses that need no user."""
SCRYPT = {"n": 1 << 14, "r": 8, "p": 5}
"""Cost of a guess: 16 MiB, five times; one of the settings that OWASP's Password Storage Cheat Sheet lists."""
LEAST_LETTERS = 8
MAX_BODY, BODY_S = 4096, 10.0
"""Bytes of a request to log in, and seconds in which it must arrive."""
WRONG_S = 1.0
"""Delay of the answer to a wrong password; two checks at once leave two guesses per second."""
MOST_WAITING = 20
"""Log-ins that are checked or wait; more are refused."""


class Access(Protocol):
    """A way to tell who asks."""

    def user(self, asking: HTTPConnection) -> str:
        """Name of the user of a request or WebSocket, or ""."""


class ProxyHeader:
    """Users whom a reverse proxy names in a header; only requests from its addresses are believed.

    ``proxies`` are addresses or networks, comma separated; raises ``ConfigError`` for others.
    """

    def __init__(self, header: str, proxies: str):
        self._header = header
        try:
            self._proxies = [ipaddress.ip_network(text.strip()) for text in proxies.split(",") if text.strip()]
        except ValueError as error:
            raise ConfigError(f"--trusted_proxies {proxies}: {error}; name addresses such as 127.0.0.1") from None

    def user(self, asking: HTTPConnection) -> str:
        """See ``Access``."""
        address = ipaddress.ip_address(asking.client.host)
        trusted = any(address in network for network in self._proxies if network.version == address.version)
        return asking.headers.get(self._header, "") if trusted else ""


class Passwords:
    """Users of a password file, who log in.

    The file has a line ``NAME:SALT:HASH`` per user, see ``add_user``; raises ``ConfigError`` for another one.
    """

    def __init__(self, path: Path):
        self._hashes: dict[str, tuple[bytes, bytes]] = {}
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", "") or "not text"
            raise ConfigError(f"--password_file {path}: {reason}; --add_user NAME makes one") from None
        for number, line in enumerate(lines, start=1):
            try:
                name, salt, digest = line.split(":")
                self._hashes[name] = base64.b64decode(salt, validate=True), base64.b64decode(digest, validate=True)
            except ValueError:
                raise ConfigError(
                    f"--password_file {path}, line {number}: expected NAME:SALT:HASH, as --add_user NAME writes it"
                ) from None
        if not self._hashes:
            raise ConfigError(f"--password_file {path}: it has no users; add one with --add_user NAME")
        self._key = secrets.token_bytes(32)
        self._ended: dict[str, int] = {}
        self._checks, self._waiting = asyncio.Semaphore(2), 0

    def user(self, asking: HTTPConnection) -> str:
        """See ``Access``."""
        name, _, rest = asking.cookies.get(COOKIE, "").partition(".")
        until, _, seal = rest.partition(".")
        if not until.isdigit() or not hmac.compare_digest(seal.encode(), self._seal(name, until).encode()):
            return ""
        if seal in self._ended:
            return ""
        name = bytes.fromhex(name).decode()
        return name if _now_us() < int(until) and name in self._hashes else ""

    def session(self, name: str) -> str:
        """Value of the cookie of a user."""
        coded, until = name.encode().hex(), str(_now_us() + 1_000_000 * SESSION_S)
        return f"{coded}.{until}.{self._seal(coded, until)}"

    def end(self, session: str) -> None:
        """End a session before its time; those that have run out are forgotten."""
        _, _, rest = session.partition(".")
        until, _, seal = rest.partition(".")
        now = _now_us()
        self._ended = {known: ends for known, ends in self._ended.items() if ends > now} | {seal: int(until)}

    def _seal(self, name: str, until: str) -> str:
        return hmac.new(self._key, f"{name}.{until}".encode(), hashlib.sha256).hexdigest()

    def right(self, name: str, password: str) -> bool:
        """Whether this is the password of the user; takes as long for unknown users."""
        salt, digest = self._hashes.get(name, (b"nobody's salt", b""))
        return hmac.compare_digest(_hash(password, salt), digest)

    def add_routes(self, app: FastAPI) -> None:
        """Log in and out."""

        @app.post("/api/login", status_code=204)
        async def login(request: Request) -> Response:
            name, password = await _credentials(request)
            if self._waiting == MOST_WAITING:
                raise HTTPException(503, "too many log in at once", {"Retry-After": "10"})
            self._waiting += 1
            try:
                async with self._checks:
                    if not await run_in_threadpool(self.right, name, password):
                        await asyncio.sleep(WRONG_S)
                        raise HTTPException(401, "name or password is wrong")
            finally:
                self._waiting -= 1
            answer = Response(status_code=204)
            secure = request.url.scheme == "https"
            answer.set_cookie(
                COOKIE, self.session(name), SESSION_S, secure=secure, httponly=True, samesite="strict"
            )  # fmt: skip
            return answer

        @app.post("/api/logout", status_code=204)
        async def logout(request: Request) -> Response:
            if self.user(request):
                self.end(request.cookies[COOKIE])
            answer = Response(status_code=204)
            answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
            return answer


def _now_us() -> int:
    """Microseconds since 1970, fine enough that no two sessions of a user are the same."""
    return int(1e6 * time.time())


async def _credentials(request: Request) -> tuple[str, str]:
    """Name and password of a JSON body; an error quotes neither."""
    received = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for part in request.stream():
                received += part
                if len(received) > MAX_BODY:
                    raise HTTPException(413, "too large")
    except TimeoutError:
        raise HTTPException(408, f"the request took more than {BODY_S:g} s") from None
    try:
        body = json.loads(received)
        name, password = body["name"], body["password"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise HTTPException(422, "expected JSON with name and password") from None
    if not isinstance(name, str) or not isinstance(password, str):
        raise HTTPException(422, "expected JSON with name and password")
    return name, password


def add_user(path: Path, name: str, password: str) -> None:
    """Add a user to a password file, or change the password; only the file's owner may read it afterwards.

    Raises ``ConfigError`` for a name with other than letters, digits and ``._@-``, and for a short password.
    """
    if not re.fullmatch(r"[\w.@-]+", name):
        raise ConfigError(f"--add_user {name!r}: expected letters, digits and . _ @ -")
    if len(password) < LEAST_LETTERS:
        raise ConfigError(
            f"--add_user {name}: the password has {len(password)} letters; choose {LEAST_LETTERS} or more"
        )
    salt = secrets.token_bytes(16)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if line.partition(":")[0] != name]
    added = ":".join((name, *(base64.b64encode(part).decode() for part in (salt, _hash(password, salt)))))
    with files.whole_file(path) as unfinished:
        unfinished.touch(0o600)
        unfinished.write_text("".join(f"{line}\n" for line in [*kept, added]), encoding="utf-8")


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, **SCRYPT, maxmem=1 << 26, dklen=32)
