"""Requests about jobs: upload, look, delete."""

import asyncio
import shutil
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from pipeline.page import callbacks
from pipeline.page.job_worker import UPLOAD
from pipeline.page.jobs import Jobs

CHANNELS = ("separate", "mix")
SPARE_BYTES = 1e9
"""Room on the disk that uploads leave."""


def add(app: FastAPI, jobs: Jobs) -> None:
    """Let the application answer ``/jobs`` and ``/jobs/ID``."""
    uploads = _Uploads(jobs)

    @app.post("/jobs")
    async def create(request: Request, channels: str = CHANNELS[0], callback: str = "") -> JSONResponse:
        if channels not in CHANNELS:
            raise HTTPException(400, f"channels {channels[:20]!r}: expected {' or '.join(CHANNELS)}")
        if callback and (reason := callbacks.refusal(callback, jobs.limits.callbacks)):
            raise HTTPException(403, reason)
        job_id = await uploads.take(request, mix=channels == "mix", callback=callback)
        return JSONResponse({"id": job_id, "state": "waiting"}, 202, {"Location": f"/jobs/{job_id}"})

    @app.get("/jobs/{job_id}")
    async def look(job_id: str) -> dict:
        if (found := await asyncio.to_thread(jobs.status, job_id)) is None:
            raise HTTPException(404, "no such job; it may have expired")
        return found

    @app.delete("/jobs/{job_id}", status_code=204)
    async def delete(job_id: str) -> Response:
        if not jobs.delete(job_id):  # in the loop, which starts analyses too
            raise HTTPException(404, "no such job; it may have expired")
        return Response(status_code=204)


class _Uploads:
    """Uploads in progress, written to disk as they come."""

    def __init__(self, jobs: Jobs):
        self._jobs, self._now = jobs, 0

    async def take(self, request: Request, *, mix: bool, callback: str) -> str:
        """ID of the job of a request's body; what is refused or cut off leaves nothing."""
        limits = self._jobs.limits
        most = int(1e6 * limits.max_mb)
        too_large = HTTPException(413, f"too large: at most {limits.max_mb:g} MB are taken")
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > most:
            raise too_large
        if self._now + self._jobs.unfinished >= limits.unfinished:
            raise HTTPException(503, f"busy: {limits.unfinished} jobs are unfinished", {"Retry-After": "60"})
        if shutil.disk_usage(self._jobs.folder).free < (self._now + 1) * most + SPARE_BYTES:
            raise HTTPException(507, "the server's disk is full")
        folder = self._jobs.new_folder()
        self._now += 1
        try:
            await _write(request, folder / UPLOAD, most, too_large, limits.upload_s)
            return self._jobs.add(folder, mix=mix, callback=callback)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            self._now -= 1


async def _write(request: Request, path: Path, most: int, too_large: HTTPException, upload_s: float) -> None:
    received = 0
    with path.open("wb") as file:
        try:
            async with asyncio.timeout(upload_s):
                async for part in request.stream():
                    received += len(part)
                    if received > most:
                        raise too_large
                    file.write(part)
        except TimeoutError:
            raise HTTPException(408, f"the upload took more than {upload_s:g} s") from None
