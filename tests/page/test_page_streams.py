"""Streams over a real WebSocket: lines of the detector, every end with its reason, and limits."""

import dataclasses
import json
import socket
import time

import numpy as np
import pytest
import websocket
from websocket import ABNF

from pipeline import audio
from pipeline.page import access, server
from pipeline.page.streams import Asked, StreamError, StreamLimits
from pipeline.scoring.detector import Detector
from pipeline.scoring.pool import Pool
from pipeline.streaming import pcm
from pipeline.streaming.listener import HYSTERESIS, SMOOTH_S, Line, Listener
from pipeline.streaming.smoothing import reachable_margin
from pipeline.streaming.steps import Steps
from tests.support.page_server import serving

LIMITS = StreamLimits(streams=2, max_s=30.0, message_bytes=70_000, quiet_s=0.6)


@pytest.fixture(scope="module")
def model(write_model_folder, tmp_path_factory):
    return write_model_folder(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def address(model):
    app = server.create(Pool(model, 1), workers=1, limits=server.PageLimits(), stream_limits=LIMITS)
    with serving(app, ws_max_size=LIMITS.message_bytes) as place:
        yield place


def connect(address: str, query: str = "pace=fast", **options) -> websocket.WebSocket:
    return websocket.create_connection(f"ws://{address}/stream?{query}", timeout=20, **options)


def answers(client: websocket.WebSocket) -> tuple[list[dict], int, str]:
    """Lines until the close, its code and its reason."""
    lines = []
    while True:
        kind, data = client.recv_data()
        if kind == ABNF.OPCODE_CLOSE:
            return lines, int.from_bytes(data[:2]), data[2:].decode()
        lines.append(json.loads(data))


def sent(address: str, data: bytes, query: str, piece: int = 3001) -> tuple[list[dict], dict]:
    """Lines and summary of samples that are sent in pieces that cut samples in two."""
    client = connect(address, query)
    for first in range(0, len(data), piece):
        client.send_binary(data[first : first + piece])
    client.send("end")
    lines, code, reason = answers(client)
    assert (code, reason) == (1000, "")
    return lines[:-1], lines[-1]["summary"]


def expected(model, wave: np.ndarray) -> list[Line]:
    """Lines of ``pipeline.stream`` of samples at 16 kHz."""
    threshold = model.point().threshold
    margin = reachable_margin(HYSTERESIS, threshold, model.calibration.lower, model.calibration.upper)
    listener = Listener(Detector(model), point=model.point(), smooth_s=SMOOTH_S, hysteresis=margin)
    steps, lines = Steps(window=model.clip_samples, step=4000, lossless=True), []
    while len(wave):
        wave = steps.add(wave)
        if steps.is_waiting:
            lines.append(listener.line(steps.take()))
    steps.end()
    return [*lines, listener.line(steps.take())]


@pytest.mark.parametrize(("form", "rate_hz"), [("s16le", 16000), ("mulaw", 8000), ("alaw", 8000), ("s16le", 48000)])
def test_lines_are_those_of_the_stream_command(address, model, voice, form, rate_hz):
    samples = audio.to_int16(voice[:31000])
    data = samples.tobytes() if form == "s16le" else (samples >> 8).astype(np.uint8).tobytes()
    found, summary = sent(address, data, f"pace=fast&format={form}&rate_hz={rate_hz}")
    resample = audio.resampler(rate_hz, 1)
    given = pcm.decode(data, form)[:, None]
    wave = np.concatenate([resample(given), resample(given[:0], last=True)])[:, 0]
    lines = expected(model, audio.on_grid(wave))
    assert [line["time_s"] for line in found] == [pytest.approx(line.time_s, abs=1e-6) for line in lines]
    for line, wanted in zip(found, lines, strict=True):
        wanted = dataclasses.asdict(wanted) | {"latency_ms": line["latency_ms"]}
        assert line == {k: pytest.approx(v, abs=2e-3) if isinstance(v, float) else v for k, v in wanted.items()}
    assert (summary["steps"], summary["dropped"], summary["rest_bytes"]) == (len(lines), 0, 0)


def test_half_a_sample_at_the_end_is_counted(address, voice):
    found, summary = sent(address, audio.to_int16(voice[:8000]).tobytes() + b"\x01", "pace=fast")
    assert [line["time_s"] for line in found] == [0.25, 0.5]
    assert summary["rest_bytes"] == 1


def test_silence_has_no_speech_and_nothing_has_no_line(address):
    found, _ = sent(address, bytes(32000), "pace=fast")
    assert [(line["label"], line["speech"]) for line in found] == [("no_speech", False)] * 4
    assert sent(address, b"", "pace=fast")[1]["steps"] == 0


def test_live_audio_is_answered_as_it_comes(address, voice):
    client = connect(address, "")
    for first in range(0, 12000, 4000):
        client.send_binary(audio.to_int16(voice[first : first + 4000]).tobytes())
        assert json.loads(client.recv())["time_s"] == (first + 4000) / 16000
    client.close()


@pytest.mark.parametrize(
    ("query", "message", "code", "reason"),
    [
        ("format=opus", None, 1008, "format 'opus': expected s16le, mulaw, alaw"),
        ("rate_hz=many", None, 1008, "rate_hz and step_s are numbers"),
        ("rate_hz=100", None, 1008, "sample rate 100 Hz lies outside"),
        ("step_s=0.001", None, 1008, "step_s 0.001: expected 0.05 to 10"),
        ("step_s=nan", None, 1008, "step_s nan"),
        ("bits=8", None, 1008, "'bits': expected only format"),
        ("", b"RIFF\x24\x00\x00\x00WAVEfmt ", 1007, "the stream is WAV; send raw s16le samples"),
        ("", b"OggS" + bytes(100), 1007, "the stream is Ogg"),
        ("", "stop", 1007, "the only text is 'end'"),
        ("", bytes(70_001), 1009, "exceeds the maximum size (70000 bytes)"),
        ("", b"\0\0", 1008, "no audio came for 0.6 s"),
    ],
)
def test_what_cannot_be_taken_closes_with_its_reason(address, query, message, code, reason):
    client = connect(address, query)
    if message is not None:
        client.send(message, ABNF.OPCODE_TEXT if isinstance(message, str) else ABNF.OPCODE_BINARY)
    lines, found, text = answers(client)
    assert (lines, found) == ([], code)
    assert reason in text


def test_a_stream_has_a_longest_duration(address):
    client = connect(address, "pace=real")
    for _ in range(31):
        client.send_binary(bytes(32000))
    _, code, reason = answers(client)
    assert (code, reason) == (1008, "a stream may last 30 s; open another")


@pytest.mark.parametrize("header", [{"origin": "http://evil.example"}, {"host": "evil.example"}, {"origin": "null"}])
def test_streams_of_other_pages_are_refused(address, header):
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        connect(address, **header)
    connect(address, origin=f"http://{address}").close()


@pytest.fixture(scope="module")
def patient(model):
    """A server with two streams that does not end quiet ones."""
    app = server.create(Pool(model, 1), workers=1, limits=server.PageLimits(), stream_limits=StreamLimits(streams=2))
    with serving(app) as place:
        yield place


def test_only_so_many_streams_are_open_and_a_lost_one_makes_room(patient):
    address = patient
    first, second = connect(address), connect(address)
    lines, code, reason = answers(connect(address))
    assert (lines, code, reason) == ([], 1013, "busy: 2 streams are open; try again later")
    first.send_binary(bytes(5001))
    first.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    first.sock.close()  # abruptly, in the middle of a step and of a sample
    deadline = time.monotonic() + 10
    while answers_at_once(address) == 1013:
        assert time.monotonic() < deadline
    second.close()


def answers_at_once(address: str) -> int:
    client = connect(address)
    client.send("end")
    return answers(client)[1]


def test_a_client_that_does_not_read_is_closed(model):
    app = server.create(Pool(model, 1), workers=1, limits=server.PageLimits())
    with serving(app, ws_ping_interval=0.2, ws_ping_timeout=0.3) as place:
        client = connect(place, "")
        for _ in range(4):  # audio comes, but nothing is read, so no ping is answered
            client.send_binary(bytes(3200))
            time.sleep(0.08)
        time.sleep(0.6)
        while (frame := client.recv_frame()).opcode != ABNF.OPCODE_CLOSE:  # which answers no ping either
            pass
    assert frame.data == (1011).to_bytes(2) + b"keepalive ping timeout"


def test_a_line_that_is_not_taken_ends_the_stream(model):
    import asyncio

    from pipeline.page import streams

    class Stuck:
        """A socket whose lines are never taken."""

        query_params = {}  # noqa: RUF012
        closed = None

        async def accept(self):
            pass

        async def receive(self):
            await asyncio.sleep(0.01)
            return {"type": "websocket.receive", "bytes": bytes(8000)}

        async def send_text(self, text):
            await asyncio.sleep(60)

        async def close(self, code, reason):
            self.closed = (code, reason)

    stuck, limits = Stuck(), StreamLimits(slow_s=0.2)
    asyncio.run(streams.serve(stuck, streams.Scorers(model, 1, limits)))
    assert stuck.closed == (1008, "slow: a line was not taken within 0.2 s")


def test_wishes_have_defaults():
    asked = Asked.of({})
    assert (asked.layout, asked.step_s, asked.pace) == (pcm.Layout("s16le", 16000, 1), 0.25, "real")
    with pytest.raises(StreamError, match="pace 'slow': expected real, fast"):
        Asked.of({"pace": "slow"})


def test_where_there_are_users_a_stream_needs_one(model, tmp_path):
    access.add_user(tmp_path / "users.txt", "ben", "correct horse")
    users = access.Passwords(tmp_path / "users.txt")
    app = server.create(Pool(model, 1), workers=1, limits=server.PageLimits(), stream_limits=LIMITS, access=users)
    with serving(app) as address:
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            connect(address, origin=f"http://{address}")
        assert refused.value.status_code == 401
        session = f"{access.COOKIE}={users.session('ben')}"
        client = connect(address, origin=f"http://{address}", cookie=session)
        client.send("end")
        assert answers(client)[1] == 1000
