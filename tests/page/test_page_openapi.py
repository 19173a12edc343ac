"""The description of the HTTP interfaces agrees with the page's routes and classes; examples are sent elsewhere too."""

import json

import numpy as np
import pytest

from pipeline import audio
from pipeline.page import openapi, server
from pipeline.page.jobs import JobLimits, Jobs
from pipeline.scoring.detector import COLUMNS, Detector
from pipeline.scoring.pool import Pool
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


def test_every_request_of_the_page_is_described_and_its_examples_are_answered(make_model_folder, tmp_path):
    model, found = make_model_folder(), openapi.document()
    jobs = Jobs(tmp_path / "jobs", model, JobLimits())
    app = server.create(Pool(model, 1), workers=1, limits=server.PageLimits(), jobs=jobs)
    routes = {route.path for route in app.routes if route.path not in server.FILES}
    described = {*found["paths"]} - {"/invocations"}
    assert described <= routes
    assert {path for path in routes if path.startswith(("/api/", "/jobs", "/stream"))} <= described
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


def test_rows_and_lines_are_described_from_their_classes():
    schemas = openapi.document()["components"]["schemas"]
    assert tuple(schemas["Row"]["properties"]) == COLUMNS
    assert schemas["Row"]["properties"]["score"] == {"type": ["number", "null"]}
    assert schemas["Line"]["properties"]["dropped"] == {"type": ["integer"]}


def test_the_example_can_be_decoded():
    wave = audio.decode(openapi.EXAMPLE)
    assert len(wave) / 16000 > 1
    assert 0.1 < np.abs(wave).max() < 1
