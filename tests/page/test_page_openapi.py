"""The description of the HTTP interfaces agrees with the page's routes and classes; examples are sent elsewhere too."""

import json

import numpy as np
import pytest

from pipeline import audio
from pipeline.client import Client
from pipeline.errors import ServerError
from pipeline.page import access, openapi, server
from pipeline.page.feedback import Feedback
from pipeline.page.jobs import JobLimits, Jobs
from pipeline.scoring.detector import Detector
from pipeline.scoring.pool import Pool
from pipeline.scoring.row import COLUMNS
from pipeline.serving.telemetry import Telemetry
from tests.page.test_page_jobs import ask
from tests.support.page_server import serving


def matches(value: object, schema: dict) -> bool:
    """Whether a value has the types, and the required names, of a schema of the description."""
    if "$ref" in schema:
        return matches(value, openapi.document()["components"]["schemas"][schema["$ref"].split("/")[-1]])
    kinds = {"object": dict, "array": list, "string": str, "number": (int, float), "integer": int, "boolean": bool}
    named = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if value is None or "null" in named:
        return "null" in named and (value is None or matches(value, {"type": [n for n in named if n != "null"]}))
    inner = schema.get("properties", {})
    return (
        any(isinstance(value, kinds[name]) for name in named)
        and all(name in value for name in schema.get("required", ()))
        and all(matches(value[name], about) for name, about in inner.items() if name in value)
        and ("items" not in schema or all(matches(one, schema["items"]) for one in value))
    )


def test_the_examples_are_answered_as_described(make_model_folder, tmp_path):
    model, found = make_model_folder(), openapi.document()
    jobs = Jobs(tmp_path / "jobs", model, JobLimits())
    app = server.create(Pool(model, 1), workers=1, limits=server.PageLimits(), jobs=jobs)
    clip = openapi.EXAMPLE.read_bytes()
    with serving(app) as address:
        assert ask(address, "GET", "/openapi.json") == (200, json.loads(json.dumps(found)))
        answer = ask(address, "GET", "/api/model")[1]
        assert answer["threshold"] == model.point().threshold
        status, answer = ask(address, "POST", "/api/recordings", clip)
        scored = found["paths"]["/api/recordings"]["post"]["responses"]["200"]["content"]["application/json"]
        assert status == 200
        assert matches(answer, scored["schema"])
        assert not matches(answer | {"row": {}}, scored["schema"])
        assert answer["row"]["score"] == pytest.approx(Detector(model).row("", clip).score, abs=1e-5)
        status, answer = ask(address, "POST", "/jobs?channels=mix", clip)
        shown = found["paths"]["/jobs"]["post"]["responses"]["202"]["content"]["application/json"]["examples"]
        assert (status, set(answer)) == (202, set(shown["job"]["value"]))
        status, state = ask(address, "GET", f"/jobs/{answer['id']}")
        shown = found["paths"]["/jobs/{job_id}"]["get"]["responses"]["200"]["content"]["application/json"]["examples"]
        assert status == 200
        assert set(state) - {"progress", "result"} == set(shown["job"]["value"]) - {"progress"}
        assert ask(address, "DELETE", f"/jobs/{answer['id']}")[0] == 204


@pytest.fixture
def users(tmp_path, monkeypatch) -> access.Passwords:
    monkeypatch.setattr(access, "SCRYPT", {"n": 2, "r": 8, "p": 1})
    monkeypatch.setattr(access, "WRONG_S", 0.0)
    access.add_user(tmp_path / "users.txt", "anna", "correct horse battery")
    return access.Passwords(tmp_path / "users.txt")


def test_every_request_of_a_page_with_everything_is_described(make_model_folder, tmp_path, users):
    model, found, table = make_model_folder(), openapi.document()["paths"], tmp_path / "answers.csv"
    app = server.create(
        Pool(model, 1), workers=1, limits=server.PageLimits(), access=users, feedback=Feedback(table),
        telemetry=Telemetry(), jobs=Jobs(tmp_path / "jobs", model, JobLimits()),
    )  # fmt: skip
    routes = {route.path for route in app.routes if route.path not in {*server.FILES, "/login", "/openapi.json"}}
    assert routes == {*found} - {"/invocations"}
    with serving(app) as address:
        body = found["/api/login"]["post"]["requestBody"]["content"]["application/json"]["examples"]["user"]["value"]
        own = {"Origin": f"http://{address}"}
        assert ask(address, "POST", "/api/login", json.dumps(body | {"password": "wrong"}), **own)[0] == 401
        cookie = {"Cookie": f"{access.COOKIE}={users.session('anna')}"}
        key = ask(address, "POST", "/api/recordings", openapi.EXAMPLE.read_bytes(), **own, **cookie)[1]["recording"]
        for answer in found["/api/feedback"]["post"]["parameters"][1]["schema"]["enum"]:
            place = f"/api/feedback?recording={key}&answer={answer}"
            assert ask(address, "POST", place, b"", **own, **cookie)[0] == 204, answer
        assert len(table.read_text().splitlines()) == 5
        assert ask(address, "POST", "/api/logout", b"", **own, **cookie)[0] == 204

        client = Client(f"http://{address}", user=body["name"], password=body["password"])
        row = Detector(model).row("", openapi.EXAMPLE)
        assert client.row(openapi.EXAMPLE).score == pytest.approx(row.score, abs=1e-5)
        users.end(client._session.partition("=")[2])
        rows = list(client.rows([str(openapi.EXAMPLE)] * 6))
        assert [one.score for one in rows] == pytest.approx([row.score] * 6, abs=1e-5)
        with pytest.raises(ServerError, match=r"anna cannot log in \(status 401\)"):
            Client(f"http://{address}", user="anna", password="wrong").row(openapi.EXAMPLE)
        with pytest.raises(ServerError, match=r"log in; give --user NAME"):
            Client(f"http://{address}").row(openapi.EXAMPLE)


def test_the_client_sends_the_header_of_a_proxy(make_model_folder):
    model, users = make_model_folder(), access.ProxyHeader("X-Forwarded-User", "127.0.0.1")
    app = server.create(Pool(model, 1), workers=1, limits=server.PageLimits(), access=users)
    with serving(app, proxy_headers=False) as address:
        client = Client(f"http://{address}", headers={"X-Forwarded-User": "anna"})
        assert client.row(openapi.EXAMPLE).score == pytest.approx(Detector(model).row("", openapi.EXAMPLE).score)
        with pytest.raises(ServerError, match="log in"):
            Client(f"http://{address}").row(openapi.EXAMPLE)


def test_rows_and_lines_are_described_from_their_classes():
    schemas = openapi.document()["components"]["schemas"]
    assert tuple(schemas["Row"]["properties"]) == COLUMNS
    assert schemas["Row"]["properties"]["score"] == {"type": ["number", "null"]}
    assert schemas["Line"]["properties"]["dropped"] == {"type": ["integer"]}


def test_the_example_can_be_decoded():
    wave = audio.decode(openapi.EXAMPLE)
    assert len(wave) / 16000 > 1
    assert 0.1 < np.abs(wave).max() < 1
