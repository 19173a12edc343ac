"""Metrics for Prometheus: what is counted, and the dashboard that draws it."""

import asyncio
import dataclasses
import json
import multiprocessing
import re

import pytest

from pipeline.config import PROJECT_ROOT
from pipeline.errors import ConfigError
from pipeline.scoring.row import Row
from pipeline.serving import settings, telemetry
from pipeline.serving.guard import Guard
from pipeline.serving.latency_log import LatencyLog
from pipeline.serving.telemetry import Telemetry

SCORED = dataclasses.asdict(Row("a name", 0.0, 2.0, 2.0, 1.5, 0.5, 0.3, "bonafide", "m-1", 30.0))


@pytest.fixture
def counted() -> Telemetry:
    made = Telemetry()
    made.request(200, 0.02)
    made.rows([SCORED, {**SCORED, "familiarity": 0.005}])
    made.rows([dataclasses.asdict(Row("b", error=error)) for error in ("silent: 0", "too long: 1: 2", "odd")])
    return made


def values(made: Telemetry) -> dict[str, float]:
    """Values by name and labels, without times of creation."""
    lines = [line for line in made.text()[0].decode().splitlines() if not re.match(r"#|\w+_created", line)]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_rows_errors_and_requests_are_counted(counted):
    found = values(counted)
    wanted = {
        'spoof_requests_total{status="200"}': 1,
        'spoof_rows_total{label="bonafide"}': 2,
        'spoof_errors_total{kind="silent"}': 1,
        'spoof_errors_total{kind="too long"}': 1,
        'spoof_errors_total{kind="unexpected error"}': 1,
        'spoof_row_seconds_bucket{le="0.025"}': 0,
        'spoof_row_seconds_bucket{le="0.05"}': 2,
        'spoof_score_bucket{le="0.0"}': 0,
        'spoof_score_bucket{le="0.7"}': 2,
        'spoof_familiarity_bucket{le="0.01"}': 1,
        "spoof_familiarity_count": 1,
        "spoof_speech_seconds_total": 3,
        "spoof_audio_seconds_total": 4,
    }
    assert {name: found[name] for name in wanted} == wanted
    assert not [name for name in found if "a name" in name]


def test_the_dashboard_draws_what_is_counted(counted):
    dashboard = json.loads((PROJECT_ROOT / "docs" / "grafana.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    drawn = {name for query in queries for name in re.findall(r"spoof_\w+", query)}
    assert drawn <= {name.partition("{")[0] for name in values(counted)}
    assert 'le="0.01"' in queries[-1]


def test_workers_need_a_folder_that_they_share(monkeypatch):
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: "the server")
    monkeypatch.delenv(telemetry.SHARED, raising=False)
    with pytest.raises(ConfigError, match="several worker processes: set PROMETHEUS_MULTIPROC_DIR to an empty folder"):
        Telemetry()


def ask(guard: Guard, path: str, method: str = "GET") -> tuple[int, bytes]:
    """Status and body of a request without a body."""
    sent = []

    async def receive() -> dict:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict) -> None:
        sent.append(message)

    asyncio.run(guard({"type": "http", "path": path, "method": method, "headers": []}, receive, send))
    return sent[0]["status"], sent[1]["body"]


def test_the_guard_answers_only_if_asked_for(counted):
    async def app(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"none"})

    log = LatencyLog(None, 10)
    assert ask(Guard(app, settings.read({}), log), "/metrics") == (404, b"none")
    guard = Guard(app, settings.read({}), log, counted)
    assert ask(guard, "/invocations", "POST")[0] == 415
    status, body = ask(guard, "/metrics")
    assert status == 200
    assert b'spoof_requests_total{status="415"} 1.0' in body
    with pytest.raises(ConfigError, match="SPOOF_SERVE_METRICS='often': expected true or false"):
        settings.read({"SPOOF_SERVE_METRICS": "often"})
