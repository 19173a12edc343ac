"""Latency lines of a server, and the sum of the lines of several processes."""

import json

import numpy as np
import pytest

from pipeline import latency
from pipeline.errors import ConfigError
from pipeline.serving import latency_log
from pipeline.serving.latency_log import LatencyLog


def test_percentiles_are_those_of_numpy():
    values = np.random.default_rng(0).lognormal(3, 1, 997)
    expected = [np.percentile(values, p, method="inverted_cdf") for p in (50, 95, 99)]
    assert list(latency_log.spread(values).values()) == pytest.approx([*expected, values.max()])
    assert latency_log.spread([7.0]) == {"p50": 7.0, "p95": 7.0, "p99": 7.0, "max": 7.0}


def test_a_line_covers_the_time_since_the_one_before(tmp_path):
    log = LatencyLog(tmp_path / "lines", every_s=100)
    log.write()
    assert (tmp_path / "lines").read_text() == ""
    for number in range(1, 101):
        log.clip(float(number), duration_s=2.0, failed=number > 97)
    log.request(250.0, refused=False)
    log.request(1.0, refused=True)
    log.write()
    log.clip(5.0, duration_s=0.0, failed=False)
    log.write()
    first, second = latency.read(tmp_path / "lines")
    assert (first["clips"], first["failed"], first["requests"], first["refused"]) == (100, 3, 2, 1)
    assert first["audio_s"] == 200.0
    assert {k: v for k, v in first["clip_ms"].items() if k != "counts"} == {"p50": 50, "p95": 95, "p99": 99, "max": 100}
    assert (second["clips"], second["requests"], "request_ms" in second) == (1, 0, False)


def test_a_line_that_cannot_be_written_is_lost_and_the_next_one_comes(tmp_path, capsys):
    path = tmp_path / "gone" / "lines"
    with pytest.raises(ConfigError, match=r"SPOOF_SERVE_LOG=.*gone/lines: No such file.*; name a file"):
        LatencyLog(path, every_s=100)
    path.parent.mkdir()
    log = LatencyLog(path, every_s=100)
    path.unlink()
    path.parent.rmdir()
    log.clip(5.0, duration_s=1.0, failed=False)
    log.write()
    assert "a line is missing in SPOOF_SERVE_LOG: No such file" in capsys.readouterr().err
    path.parent.mkdir()
    log.clip(7.0, duration_s=1.0, failed=False)
    log.write()
    (line,) = latency.read(path)
    assert (line["clips"], line["clip_ms"]["max"]) == (1, 7.0)


def test_the_summary_of_many_lines_is_that_of_all_values(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    everything = []
    for pid in (11, 12):
        monkeypatch.setattr(latency_log.os, "getpid", lambda pid=pid: pid)
        log = LatencyLog(tmp_path / "lines", every_s=100)
        for _ in range(5):
            values = rng.lognormal(2 + pid % 2, 0.5, 200)
            everything.extend(values)
            for value in values:
                log.clip(value, duration_s=1.0, failed=False)
                log.request(value, refused=False)
            log.write()
    total = latency.summarise(latency.read(tmp_path / "lines"))
    exact = latency_log.spread(everything)
    assert (total["processes"], total["clips"], total["requests"]) == (2, 2000, 2000)
    assert total["clip_ms"] == pytest.approx(exact, rel=0.025)
    assert total["request_ms"]["max"] == pytest.approx(max(everything), abs=0.01)


def test_rates_of_processes_add_up():
    line = {"requests": 10, "refused": 0, "clips": 20, "failed": 0, "audio_s": 40.0}
    lines = [{**line, "pid": 1, "seconds": 2.0}, {**line, "pid": 1, "seconds": 3.0}, {**line, "pid": 2, "seconds": 1.0}]
    total = latency.summarise(lines)
    assert total["clips_per_s"] == pytest.approx(40 / 5 + 20 / 1)
    assert total["audio_s_per_s"] == pytest.approx(80 / 5 + 40 / 1)


def test_the_command_finds_its_lines_among_others(tmp_path, capsys):
    log = LatencyLog(tmp_path / "lines", every_s=100)
    log.clip(5.0, duration_s=1.0, failed=True)
    log.write()
    (tmp_path / "mixed").write_text("INFO: started\n" + (tmp_path / "lines").read_text() + '{"time": 3\n')
    assert latency.main([str(tmp_path / "mixed")]) == 0
    assert "1 clips, 1 of them without a score" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="No such file"):
        latency.main([str(tmp_path / "none")])
    (tmp_path / "empty").write_text(json.dumps({"a": 1}))
    with pytest.raises(ConfigError, match=r"no latency lines in .*SPOOF_SERVE_LOG"):
        latency.main([str(tmp_path / "mixed"), str(tmp_path / "empty")])
    with pytest.raises(ConfigError, match="no latency lines in --input"):
        latency.main([])
