"""Long recordings by job: an upload on disk, its analysis in another process, and its result until it expires.

All state is in files: a folder per job under one folder, whose ``job.json`` is written once the upload is complete and
whose ``result.json`` ends the job. So a server that starts again continues with what an earlier one left.
"""

import asyncio
import contextlib
import json
import multiprocessing
import re
import secrets
import shutil
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.common import files
from pipeline.errors import ConfigError
from pipeline.page import callbacks, job_worker
from pipeline.page.job_worker import RESULT, UPLOAD
from pipeline.scoring.model_folders import ModelFolder

JOB, DELIVERED = "job.json", "delivered.json"
ID = re.compile(r"[A-Za-z0-9_-]{22}")
TRIES = 3
"""Times that an analysis is begun. A process that ends without a result, as of a kill, ends a job after the last; the
end of the server does not count.
"""
LOOK_EVERY_S = 60.0
"""Time after which jobs are looked at even if nothing happened, to delete those that have expired."""


@dataclass(frozen=True)
class JobLimits:
    """Limits on jobs; ``unfinished`` of them may wait, one is analysed at a time, and a result is kept ``keep_h``."""

    max_mb: float = 800.0
    unfinished: int = 20
    keep_h: float = 24.0
    upload_s: float = 3600.0
    callbacks: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Job:
    """What a client asked; ``created`` is seconds since 1970."""

    id: str
    mix: bool
    callback: str
    created: float
    tries: int = 0


class Jobs:
    """The jobs of one server.

    Parameters
    ----------
    folder : of the jobs' folders, which is made. Raises ``ConfigError`` if another server works on it.
    model : model folder of the analyses.
    """

    def __init__(self, folder: Path, model: ModelFolder, limits: JobLimits):
        self.folder, self.limits = folder, limits
        self._model = model
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = (folder / "lock").open("w")
        files.lock(self._lock, ConfigError(f"{folder}: another page works on these jobs"))
        self._changed = asyncio.Event()
        self._process: multiprocessing.process.BaseProcess | None = None
        self._running = ""
        self._deliveries: set[asyncio.Task] = set()

    @contextlib.asynccontextmanager
    async def at_work(self, *_: object) -> AsyncIterator[None]:
        """Work on the jobs inside the block."""
        for left in self.folder.iterdir():  # uploads that were interrupted
            if left.is_dir() and not (left / JOB).is_file():
                shutil.rmtree(left, ignore_errors=True)
        for job in self._jobs():
            if self._is_finished(job.id):
                self._deliver(job)
        task = asyncio.create_task(self._work())
        try:
            yield
        finally:
            task.cancel()
            self._kill()
            await asyncio.gather(task, return_exceptions=True)

    def new_folder(self) -> Path:
        """Folder for an upload; it is a job once it was added."""
        folder = self.folder / secrets.token_urlsafe(16)
        folder.mkdir(mode=0o700)
        return folder

    def add(self, folder: Path, *, mix: bool, callback: str) -> str:
        """Make a job of a complete upload; return its ID."""
        self._write(Job(folder.name, mix, callback, time.time()))
        self._changed.set()
        return folder.name

    @property
    def unfinished(self) -> int:
        """Jobs without a result."""
        return sum(not self._is_finished(job.id) for job in self._jobs())

    def status(self, job_id: str) -> dict | None:
        """State of a job with its progress or result; ``None`` if there is no such job."""
        if not (job := self._read(job_id)):
            return None
        folder = self.folder / job_id
        shown = {"id": job_id, "created": round(job.created), "expires": round(self._expires(job))}
        if self._is_finished(job_id):
            result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
            return shown | {"state": "failed" if "error" in result else "done", "result": result}
        state = "working" if job_id == self._running else "waiting"
        return shown | {"state": state, "progress": job_worker.progress(folder)}

    def delete(self, job_id: str) -> bool:
        """Delete a job, and stop its analysis; ``False`` if there is no such job."""
        if not self._read(job_id):
            return False
        (self.folder / job_id / JOB).unlink()
        if job_id == self._running:
            self._kill()
        shutil.rmtree(self.folder / job_id, ignore_errors=True)
        return True

    # Files

    def _read(self, job_id: str) -> Job | None:
        if not ID.fullmatch(job_id):
            return None
        try:
            return Job(**json.loads((self.folder / job_id / JOB).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def _write(self, job: Job) -> None:
        files.write_json(self.folder / job.id / JOB, asdict(job))

    def _jobs(self) -> list[Job]:
        """All jobs, the oldest first."""
        found = [job for path in self.folder.glob(f"*/{JOB}") if (job := self._read(path.parent.name))]
        return sorted(found, key=lambda job: job.created)

    def _is_finished(self, job_id: str) -> bool:
        return (self.folder / job_id / RESULT).is_file()

    def _expires(self, job: Job) -> float:
        return job.created + 3600 * self.limits.keep_h

    # Work

    async def _work(self) -> None:
        while True:
            self._changed.clear()
            try:
                for job in self._jobs():
                    if time.time() > self._expires(job):
                        self.delete(job.id)
                waiting = [job for job in self._jobs() if not self._is_finished(job.id)]
                if waiting:
                    await self._analyse(waiting[0])
                    continue
            except OSError as error:  # such as a full disk; tried again later
                print(f"jobs: {error.strerror}", file=sys.stderr, flush=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._changed.wait()

    async def _analyse(self, job: Job) -> None:
        folder = self.folder / job.id
        if job.tries == TRIES:
            files.write_json(folder / RESULT, {"error": job_worker.ended(self._model)})
        else:
            self._write(Job(**asdict(job) | {"tries": job.tries + 1}))
            arguments = (folder, self._model, job.mix)
            self._process = multiprocessing.get_context("spawn").Process(target=job_worker.run, args=arguments)
            self._running = job.id
            self._process.start()
            try:
                await asyncio.to_thread(self._process.join)
            except asyncio.CancelledError:
                self._write(job)
                raise
            finally:
                self._running, self._process = "", None
        if self._read(job.id) is None:  # deleted meanwhile
            shutil.rmtree(folder, ignore_errors=True)
        elif self._is_finished(job.id):
            (folder / UPLOAD).unlink(missing_ok=True)
            self._deliver(job)

    def _kill(self) -> None:
        if self._process:
            self._process.kill()

    def _deliver(self, job: Job) -> None:
        """Tell the callback address of a job, if it has one that was not told yet, that it is finished."""
        done = self.folder / job.id / DELIVERED
        if not job.callback or done.is_file():
            return

        async def deliver() -> None:
            state = (self.status(job.id) or {}).get("state", "")
            outcome = await asyncio.to_thread(callbacks.post, job.callback, {"id": job.id, "state": state})
            if done.parent.is_dir():
                files.write_json(done, {"callback": outcome})

        task = asyncio.create_task(deliver())
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)
