"""Streams over the network: a WebSocket that takes raw samples and answers with a JSON line per step.

The lines are those of ``pipeline.stream``. A stream is one task of the event loop; few threads score the steps of all.
Whatever ends a stream early closes it with a code and a reason that the client can read.
"""

import asyncio
import contextlib
import dataclasses
import json
import threading
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from pipeline.config import SAMPLE_RATE_HZ
from pipeline.errors import AudioError
from pipeline.scoring.detector import Detector
from pipeline.scoring.model_folders import ModelFolder
from pipeline.scoring.runtimes import Outputs
from pipeline.streaming import pcm
from pipeline.streaming.listener import HYSTERESIS, SMOOTH_S, STEP_S, Line, Listener, Summary, json_line
from pipeline.streaming.smoothing import reachable_margin
from pipeline.streaming.steps import Step, Steps

FORMATS = ("s16le", "mulaw", "alaw")
PACES = ("real", "fast")
MIN_STEP_S, MAX_STEP_S = 0.05, 10.0
END = "end"
"""Text message that ends a stream; its last step and summary follow."""
BAD_DATA, REFUSED, TOO_MANY = 1007, 1008, 1013
"""Codes of RFC 6455 with which streams are closed."""
LONGEST_REASON = 120
"""Bytes of a reason; a frame that closes a WebSocket holds 123."""


@dataclass(frozen=True)
class StreamLimits:
    """Limits on streams.

    A stream ends after ``max_s`` of audio or of time. A client that sends no audio for ``quiet_s``, or does not take a
    line within ``slow_s``, is closed.
    """

    streams: int = 50
    max_s: float = 3600.0
    message_bytes: int = 1 << 18
    quiet_s: float = 30.0
    slow_s: float = 10.0


class StreamError(Exception):
    """A stream is refused, or ends early."""

    def __init__(self, code: int, reason: str):
        super().__init__(reason)
        self.code, self.reason = code, reason


class GoneError(Exception):
    """The client has left."""


@dataclass(frozen=True)
class Asked:
    """Wishes of a client. ``pace`` as in ``pipeline.stream``: real skips steps if the model is too slow, fast holds
    the sender back."""

    layout: pcm.Layout
    step_s: float
    pace: str

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Asked":
        """From the query of the address; raises ``StreamError``."""
        known = {"format", "rate_hz", "step_s", "pace"}
        if unknown := sorted(set(query) - known):
            raise StreamError(REFUSED, f"{unknown[0][:20]!r}: expected only {', '.join(sorted(known))}")
        named, pace = query.get("format", FORMATS[0]), query.get("pace", PACES[0])
        for name, value, allowed in (("format", named, FORMATS), ("pace", pace, PACES)):
            if value not in allowed:
                raise StreamError(REFUSED, f"{name} {value[:20]!r}: expected {', '.join(allowed)}")
        try:
            rate_hz, step_s = int(query.get("rate_hz", SAMPLE_RATE_HZ)), float(query.get("step_s", STEP_S))
        except ValueError:
            raise StreamError(REFUSED, "rate_hz and step_s are numbers") from None
        if not MIN_STEP_S <= step_s <= MAX_STEP_S:
            raise StreamError(REFUSED, f"step_s {step_s:g}: expected {MIN_STEP_S:g} to {MAX_STEP_S:g}")
        return cls(pcm.Layout(named, rate_hz, 1), step_s, pace)


class Scorers:
    """What all streams share: threads that score, each with a detector, and the count of streams.

    The detectors are others than those of uploads, so that a step never waits for a recording.
    """

    def __init__(self, model: ModelFolder, workers: int, limits: StreamLimits):
        self.model, self.limits, self.open = model, limits, 0
        self.threads = ThreadPoolExecutor(workers, "stream", self._begin)
        self._own = threading.local()

    def listener(self) -> Listener:
        """The state of one more stream; it takes some time."""
        model, point = self.model, self.model.point()
        margin = reachable_margin(HYSTERESIS, point.threshold, model.calibration.lower, model.calibration.upper)
        return Listener(Detector(model, network=self), point=point, smooth_s=SMOOTH_S, hysteresis=margin)

    def _begin(self) -> None:
        self._own.detector = Detector(self.model, threads=1)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Logits ``[windows]`` of windows ``[windows, clip_samples]``, by the detector of the thread."""
        return self.outputs(batch)[0]

    def outputs(self, batch: np.ndarray) -> Outputs:
        """Logits and embeddings of windows, by the detector of the thread."""
        return self._own.detector.outputs(batch)


async def serve(socket: WebSocket, scorers: Scorers) -> None:
    """Take a stream from its acceptance to its close."""
    await socket.accept()
    code, reason = 1000, ""
    try:
        if scorers.open >= scorers.limits.streams:
            raise StreamError(TOO_MANY, f"busy: {scorers.limits.streams} streams are open; try again later")
        scorers.open += 1
        try:
            await _Stream(socket, scorers, Asked.of(socket.query_params)).run()
        finally:
            scorers.open -= 1
    except GoneError:
        return
    except (StreamError, AudioError) as error:
        code, reason = getattr(error, "code", REFUSED), str(error)
    with contextlib.suppress(
        TimeoutError, RuntimeError, WebSocketDisconnect
    ):  # a client that reads nothing, or has just left
        async with asyncio.timeout(scorers.limits.slow_s):
            await socket.close(code, reason[:LONGEST_REASON])


@dataclass
class _Stream:
    """One stream: a task receives, another scores and sends."""

    socket: WebSocket
    scorers: Scorers
    asked: Asked
    finished: bool = False
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    taken: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Until the client ends it; raises the reason of any other end."""
        model, fast = self.scorers.model, self.asked.pace == "fast"
        self.decoder = pcm.Decoder(self.asked.layout)
        self.steps = Steps(window=model.clip_samples, step=round(self.asked.step_s * SAMPLE_RATE_HZ), lossless=fast)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._receive())
                tasks.create_task(self._answer())
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _receive(self) -> None:
        async for block in self._blocks():
            while len(block):
                block = self.steps.add(block)
                if self.steps.is_waiting:
                    self.ready.set()
                    while self.asked.pace == "fast" and self.steps.is_waiting:
                        self.taken.clear()
                        await self.taken.wait()
        self.steps.end()
        self.finished = True
        self.ready.set()

    async def _blocks(self) -> AsyncIterator[np.ndarray]:
        """Blocks at 16 kHz until the client ends the stream."""
        limits, started, head = self.scorers.limits, time.monotonic(), True
        while True:
            try:
                async with asyncio.timeout(limits.quiet_s):
                    message = await self.socket.receive()
            except TimeoutError:
                raise StreamError(REFUSED, f"no audio came for {limits.quiet_s:g} s") from None
            if message["type"] == "websocket.disconnect":
                raise GoneError
            part = message.get("bytes")
            if part is None:
                if message.get("text") != END:
                    raise StreamError(BAD_DATA, f"samples come as binary messages; the only text is {END!r}")
                yield self.decoder.finish()
                return
            if head and (found := "WAV" if part[:4] == b"RIFF" else pcm.container(part[:12], frames=False)):
                raise StreamError(
                    BAD_DATA, f"the stream is {found}; send raw {self.asked.layout.sample_format} samples"
                )
            head = False
            yield self.decoder.add(part)
            if max(self.steps.total / SAMPLE_RATE_HZ, time.monotonic() - started) > limits.max_s:
                raise StreamError(REFUSED, f"a stream may last {limits.max_s:g} s; open another")

    async def _answer(self) -> None:
        loop, summary = asyncio.get_running_loop(), Summary(self.asked.step_s)
        listener = await loop.run_in_executor(self.scorers.threads, self.scorers.listener)
        while True:
            await self.ready.wait()
            self.ready.clear()
            while self.steps.is_waiting:
                step = self.steps.take()
                self.taken.set()
                line, busy_s = await loop.run_in_executor(self.scorers.threads, _scored, listener, step)
                summary.add(line, busy_s)
                await self._send(json_line(dataclasses.asdict(line)))
            if self.finished:
                break
        rest = {"rest_bytes": len(self.decoder.rest)}
        await self._send(json.dumps({"summary": json.loads(json_line(summary.values() | rest))}))

    async def _send(self, text: str) -> None:
        limits = self.scorers.limits
        try:
            async with asyncio.timeout(limits.slow_s):
                await self.socket.send_text(text)
        except WebSocketDisconnect:
            raise GoneError from None
        except TimeoutError:
            raise StreamError(REFUSED, f"slow: a line was not taken within {limits.slow_s:g} s") from None


def _scored(listener: Listener, step: Step) -> tuple[Line, float]:
    """Line of a step, and the seconds of work."""
    started = time.monotonic()
    line = listener.line(step)
    return line, time.monotonic() - started
