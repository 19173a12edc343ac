"""Settings of the scoring server: an environment variable each, read when a server process loads the model.

``mlflow models serve`` passes only its environment to a server. The variable of a field is ``SPOOF_SERVE_`` and the
name of the field in capitals.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.audio import Limits
from pipeline.common import files
from pipeline.errors import ConfigError
from pipeline.metrics.calibration import FAMILIARITY

PREFIX = "SPOOF_SERVE_"
Count = Annotated[int, Field(gt=0)]
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ServerSettings(BaseModel):
    """Limits and logs of one server process."""

    model_config = ConfigDict(frozen=True)

    root: str = Field("", description="folder of the files that the column path may name; empty: path is refused")
    max_body_mb: Amount = Field(32.0, description="body of a request, in MB; larger ones get status 413")
    max_requests: Count = Field(32, description="requests in progress at once; more get status 503")
    max_rows: Count = Field(256, description="rows per request; more get status 400")
    max_recording_mb: Amount = Field(24.0, description="size of one recording, in MB")
    max_recording_s: Amount = Field(600.0, description="length of one recording, in s; the model has a limit too")
    max_channels: Count = Field(2, description="channels of a recording")
    max_rate_hz: Count = Field(192000, description="sample rate of a recording")
    max_samples: Count = Field(120_000_000, description="samples of a recording before resampling, all channels")
    max_request_s: Amount = Field(60.0, description="time for a request, in s; rows not begun by then get an error")
    detectors: int = Field(0, ge=0, description="recordings scored at once; 0: one per core")
    familiarity: float = Field(
        FAMILIARITY, ge=0, allow_inf_nan=False, description="share of dev under which speech is unfamiliar; 0: none is"
    )
    log: str = Field("", description="file for JSON lines about latency; empty: standard error")
    log_every_s: Amount = Field(10.0, description="time between two lines, in s; none without requests")
    rows: str = Field("", description="file for scored rows as JSON lines, without names and audio; empty: none")
    rows_mb: Amount = Field(100.0, description="size from which that file is renamed to FILE.1, in MB")

    metrics: bool = Field(False, description="answer GET /metrics in Prometheus' format")

    def named(self, field: str, unit: str) -> str:
        """A limit for errors: ``32 MB (SPOOF_SERVE_MAX_BODY_MB)``."""
        return f"{getattr(self, field):g} {unit} ({PREFIX}{field.upper()})"

    @property
    def limits(self) -> Limits:
        """Bounds on one recording."""
        return Limits(
            max_bytes=self.max_recording_mb * 1e6,
            max_s=self.max_recording_s,
            max_channels=self.max_channels,
            max_rate_hz=self.max_rate_hz,
            max_samples=self.max_samples,
            set_by={
                "max_bytes": f"{PREFIX}MAX_RECORDING_MB",
                "max_s": f"{PREFIX}MAX_RECORDING_S and the model",
                "max_channels": f"{PREFIX}MAX_CHANNELS",
                "max_rate_hz": f"{PREFIX}MAX_RATE_HZ",
                "max_samples": f"{PREFIX}MAX_SAMPLES",
            },
        )


def read(environment: Mapping[str, str] = os.environ) -> ServerSettings:
    """Read the settings of an environment; raises ``ConfigError`` for a bad value or an unknown variable."""
    fields = {PREFIX + name.upper(): name for name in ServerSettings.model_fields}
    given = {name: value for name, value in environment.items() if name.startswith(PREFIX) and value}
    unknown = sorted(set(given) - set(fields))
    if unknown:
        raise ConfigError(f"{unknown[0]}: no such setting; known: {', '.join(fields)}")
    try:
        return ServerSettings(**{fields[name]: value for name, value in given.items()})
    except ValidationError as error:
        variable = PREFIX + str(error.errors()[0]["loc"][0]).upper()
        least_0 = dict.fromkeys((f"{PREFIX}DETECTORS", f"{PREFIX}FAMILIARITY"), "a number 0 or above")
        expected = (least_0 | {f"{PREFIX}METRICS": "true or false"}).get(variable, "a number above 0")
        raise ConfigError(f"{variable}={given[variable]!r}: expected {expected}") from None


def check_log(field: str, path: Path) -> None:
    """Raise ``ConfigError`` if lines cannot be appended to the file of a setting."""
    try:
        files.append(path, "")
    except OSError as error:
        raise ConfigError(
            f"{PREFIX}{field.upper()}={path}: {error.strerror or error}; name a file in a folder that the server may "
            "write"
        ) from None
