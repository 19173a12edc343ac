"""Users of the page: passwords, sessions, a proxy's header, and posts of other pages; without a socket."""

import asyncio
import io
import json
import time

import pytest

from pipeline.errors import ConfigError
from pipeline.page import access, server
from pipeline.page.__main__ import main
from pipeline.page.access import Passwords, ProxyHeader
from pipeline.scoring.pool import Pool

PASSWORD = "correct horse: battery"
ORIGIN = {"origin": "http://127.0.0.1:8000"}


@pytest.fixture(scope="module", autouse=True)
def cheap_hashes():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access, "SCRYPT", {"n": 2, "r": 8, "p": 1})
        yield


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("users") / "users.txt"
    access.add_user(path, "anna", "another password")
    access.add_user(path, "ben", PASSWORD)
    access.add_user(path, "anna", "changed password")
    return path


@pytest.fixture(scope="module")
def pool(write_model_folder, tmp_path_factory):
    return Pool(write_model_folder(tmp_path_factory.mktemp("model") / "tiny"), 1)


@pytest.fixture
def application(pool):
    def make(users):
        return server.create(pool, workers=1, limits=server.PageLimits(max_mb=0.1), access=users)

    return make


def ask(app, method, path, body=b"", address="127.0.0.1", scheme="http", **headers) -> tuple[int, dict, bytes]:
    """Status, headers and body of a request."""
    sent, whole = [], iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict:
        return next(whole, None) or await asyncio.Event().wait()  # the client stays

    async def send(message: dict) -> None:
        sent.append(message)

    headers = {"host": "127.0.0.1:8000", **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "scheme": scheme,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": (address, 5),
        "server": ("127.0.0.1", 8000),
    }
    asyncio.run(app(scope, receive, send))
    answer = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answer, b"".join(message.get("body", b"") for message in sent[1:])


def login(app, name: str, password: str, **more) -> tuple[int, dict, bytes]:
    return ask(app, "POST", "/api/login", json.dumps({"name": name, "password": password}).encode(), **ORIGIN, **more)


def test_a_password_file_holds_hashes_for_its_owner_alone(table):
    text = table.read_text()
    assert [line.split(":")[0] for line in text.splitlines()] == ["ben", "anna"]
    assert "password" not in text
    assert PASSWORD not in text
    assert table.stat().st_mode & 0o777 == 0o600


def test_only_users_with_a_session_are_answered(application, table, monkeypatch, capfd):
    monkeypatch.setattr(access, "WRONG_S", 0.0)
    app = application(Passwords(table))
    assert ask(app, "GET", "/")[:2][0] == 303
    assert ask(app, "GET", "/")[1]["location"] == "/login"
    for path in ("/login", "/login.js", "/style.css"):
        assert ask(app, "GET", path)[0] == 200, path
    for method, path in (
        ("GET", "/api/model"),
        ("POST", "/api/recordings"),
        ("GET", "/app.js"),
        ("POST", "/api/audio"),
    ):
        status, _, body = ask(app, method, path, **ORIGIN)
        assert (status, json.loads(body)["error"]) == (401, "this page is for its users; log in"), path

    wrong = [("ben", "correct horse"), ("carl", PASSWORD), ("anna", "another password"), ("ben", "\ud800")]
    for name, password in wrong:
        status, headers, body = login(app, name, password)
        assert (status, "set-cookie" in headers, PASSWORD.encode() in body) == (401, False, False)
    status, headers, _ = login(app, "ben", PASSWORD)
    assert status == 204
    cookie, *attributes = headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"} == set(attributes)
    assert "Secure" in login(app, "ben", PASSWORD, scheme="https")[1]["set-cookie"]
    status, _, body = ask(app, "GET", "/api/model", cookie=cookie)
    assert (status, json.loads(body)["user"], json.loads(body)["logs_out"]) == (200, "ben", True)
    assert ask(app, "POST", "/api/recordings", b"x", cookie=cookie, **ORIGIN)[0] == 200
    status, headers, _ = ask(app, "POST", "/api/logout", cookie=cookie, **ORIGIN)
    assert "Max-Age=0" in headers["set-cookie"]
    assert ask(app, "GET", "/api/model", cookie=cookie)[0] == 401, "a copy of the cookie is worth nothing"
    assert PASSWORD not in "".join(capfd.readouterr())


def test_sessions_are_signed_and_end(application, table, monkeypatch):
    users = Passwords(table)
    app, value = application(users), users.session("ben")
    name, until, seal = value.split(".")
    forged = [
        f"{b'anna'.hex()}.{until}.{seal}",
        f"{name}.{int(until) + 1}.{seal}",
        f"{name}.{until}.",
        "a.b",
        "..",
        "",
    ]
    forged += [Passwords(table).session("ben"), users.session("carl")]
    for bad in forged:
        assert ask(app, "GET", "/api/model", cookie=f"session={bad}")[0] == 401, bad
    assert ask(app, "GET", "/api/model", cookie=f"session={value}")[0] == 200
    users.end(users.session("ben"))
    assert ask(app, "GET", "/api/model", cookie=f"session={users.session('ben')}")[0] == 200, "another session goes on"
    now = time.time()
    monkeypatch.setattr(access.time, "time", lambda: now + access.SESSION_S + 1)
    assert ask(app, "GET", "/api/model", cookie=f"session={value}")[0] == 401


def test_posts_of_other_pages_cannot_use_a_session(application, table):
    users = Passwords(table)
    app, cookie = application(users), f"session={users.session('ben')}"
    for origin in ({"origin": "http://evil.example"}, {"origin": "null"}, {}):
        for path in ("/api/recordings", "/api/logout", "/api/login"):
            assert ask(app, "POST", path, b"x", cookie=cookie, **origin)[0] == 403, (origin, path)


def test_requests_to_log_in_that_are_no_such_thing(application, table):
    app = application(Passwords(table))
    for body, status in ((b"{}", 422), (b'{"name": 1, "password": 2}', 422), (b"secret", 422), (b"x" * 5000, 413)):
        found, _, said = ask(app, "POST", "/api/login", body, **ORIGIN)
        assert (found, b"secret" in said) == (status, False)


def test_a_header_counts_only_from_the_proxy(application):
    app = application(ProxyHeader("X-Forwarded-User", "10.0.0.7, ::1"))
    for address, given, status in (
        ("10.0.0.7", {"x-forwarded-user": "ben"}, 200),
        ("::1", {"x-forwarded-user": "ben"}, 200),
        ("10.0.0.7", {}, 401),
        ("10.0.0.8", {"x-forwarded-user": "ben"}, 401),
        ("10.0.0.8", {"x-forwarded-user": "ben", "x-forwarded-for": "10.0.0.7"}, 401),
    ):
        assert ask(app, "GET", "/", address=address, **given)[0] == status, (address, given)
    assert ask(app, "GET", "/login", address="10.0.0.7")[0] == 404
    assert ask(app, "POST", "/api/recordings", b"x", address="::1", x_forwarded_user="ben")[0] == 403


def test_mistakes_are_named_without_the_password(tmp_path, monkeypatch, capsys):
    path = tmp_path / "users.txt"
    bad = {"none": "No such file or directory; --add_user NAME makes one", "": "it has no users"}
    bad |= {"ben:secret\n": "line 1: expected NAME:SALT:HASH"}
    for content, reason in bad.items():
        if content != "none":
            path.write_text(content)
        with pytest.raises(ConfigError, match=reason) as error:
            Passwords(path)
        assert "secret" not in str(error.value)
    with pytest.raises(ConfigError, match="the password has 5 letters; choose 8 or more"):
        access.add_user(path, "ben", "short")
    with pytest.raises(ConfigError, match="--add_user 'a:b': expected letters"):
        access.add_user(path, "a:b", PASSWORD)
    with pytest.raises(ConfigError, match=r"--trusted_proxies 10.0.0: .*; name addresses such as 127.0.0.1"):
        ProxyHeader("X-User", "10.0.0")
    with pytest.raises(ConfigError, match="--add_user ben: name the file too"):
        main(["--add_user", "ben"])
    with pytest.raises(ConfigError, match="two ways to know a user; give one"):
        main(["--user_header", "X-User", "--password_file", str(path)])
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    path.unlink()
    assert main(["--add_user", "ben", "--password_file", str(path)]) == 0
    assert PASSWORD not in "".join(capsys.readouterr())
    assert Passwords(path).right("ben", PASSWORD)
