"""Prometheus metrics of a server: requests, rows, errors, latency, scores, familiarity and seconds of speech.

A process counts for itself. Several worker processes share one set of counts if ``PROMETHEUS_MULTIPROC_DIR`` names a
folder, empty when the server starts: the package reads that variable itself.
"""

import multiprocessing
import os
from collections.abc import Iterable, Mapping

from pipeline.errors import AudioFault, ConfigError

PATH = "/metrics"
SHARED = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SCORES = (-8.0, -4.6, -2.2, -0.7, 0.0, 0.7, 2.2, 4.6, 8.0)
"""Edges of the page's words: odds of 2, 9 and 99 to 1."""
FAMILIARITIES = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75)


class Telemetry:
    """Counts of a server, and their text for Prometheus. Raises ``ConfigError`` in one of several worker processes
    without a shared folder: each scrape would reach another process.
    """

    def __init__(self):
        from prometheus_client import CollectorRegistry, Counter, Histogram

        if multiprocessing.parent_process() and not os.environ.get(SHARED):
            raise ConfigError(f"metrics of several worker processes: set {SHARED} to an empty folder that they share")
        self._registry = own = CollectorRegistry()
        self._requests = Counter("spoof_requests", "Scoring requests by HTTP status", ["status"], registry=own)
        self._request_s = Histogram("spoof_request_seconds", "Time of a request", registry=own, buckets=SECONDS)
        self._rows = Counter("spoof_rows", "Scored recordings by label", ["label"], registry=own)
        self._errors = Counter("spoof_errors", "Recordings without a score by kind of error", ["kind"], registry=own)
        self._row_s = Histogram("spoof_row_seconds", "Time from decoding to score", registry=own, buckets=SECONDS)
        self._scores = Histogram("spoof_score", "Log-likelihood ratio of bonafide", registry=own, buckets=SCORES)
        self._familiarity = Histogram(
            "spoof_familiarity", "Share of dev that lies further out", registry=own, buckets=FAMILIARITIES
        )
        self._speech_s = Counter("spoof_speech_seconds", "Seconds of speech scored", registry=own)
        self._audio_s = Counter("spoof_audio_seconds", "Seconds of audio scored", registry=own)

    def request(self, status: int, seconds: float) -> None:
        """Count a request, timed from arrival to answer."""
        self._requests.labels(str(status)).inc()
        self._request_s.observe(seconds)

    def rows(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Count rows of whole recordings, with the columns of ``scoring.row.Row``."""
        for row in rows:
            if row["error"]:
                kind = str(row["error"]).partition(":")[0]
                self._errors.labels(kind if kind in set(AudioFault) else AudioFault.UNEXPECTED.value).inc()
                continue
            self._rows.labels(row["label"]).inc()
            self._row_s.observe(row["latency_ms"] / 1000)
            self._scores.observe(row["score"])
            self._speech_s.inc(row["speech_s"])
            self._audio_s.inc(row["duration_s"])
            if row.get("familiarity") is not None:
                self._familiarity.observe(row["familiarity"])

    def text(self) -> tuple[bytes, str]:
        """Text of all counts, and its media type."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, multiprocess

        registry = self._registry
        if os.environ.get(SHARED):
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)
        return generate_latest(registry), CONTENT_TYPE_LATEST
