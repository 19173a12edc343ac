"""Settings of the scoring server: one environment variable each, read once when a server process loads the model.

``mlflow models serve`` hands its environment on and nothing else, so this is where a server is told its limits. The
variable of a field is ``SPOOF_SERVE_`` and the field's name in capitals.
"""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.audio import Limits
from pipeline.config import option
from pipeline.errors import ConfigError

PREFIX = "SPOOF_SERVE_"


@dataclass(frozen=True)
class ServerSettings:
    """What one server process accepts, and where it says how it fares."""

    root: str = option("", "folder that the column path may name files in; empty: path is refused")
    max_body_mb: float = option(32.0, "body of a request, in MB; larger ones get status 413")
    max_requests: int = option(32, "requests in progress at once; more get status 503")
    max_rows: int = option(256, "rows of a request; more get status 400")
    max_recording_mb: float = option(24.0, "bytes of one recording, in MB")
    max_recording_s: float = option(600.0, "length of one recording, in s; the model's own limit holds as well")
    max_channels: int = option(2, "channels of a recording")
    max_rate_hz: int = option(192000, "sample rate of a recording")
    max_samples: int = option(120_000_000, "samples of a recording before resampling, over all channels")
    max_request_s: float = option(60.0, "rows that were not begun so long after their request came get an error")
    detectors: int = option(0, "recordings scored at once; 0: one for each core")
    log: str = option("", "file that gets the JSON lines about latency; empty: standard error")
    log_every_s: float = option(10.0, "time between two lines, in s; none is written where nothing was asked")

    @property
    def limits(self) -> Limits:
        """What decoding one recording may cost."""
        return Limits(
            max_bytes=self.max_recording_mb * 1e6,
            max_s=self.max_recording_s,
            max_channels=self.max_channels,
            max_rate_hz=self.max_rate_hz,
            max_samples=self.max_samples,
        )


def read(environment: Mapping[str, str] = os.environ) -> ServerSettings:
    """The settings of an environment; raises ``ConfigError`` for a value that is none, or an unknown variable."""
    fields = {PREFIX + field.name.upper(): field for field in dataclasses.fields(ServerSettings)}
    given = {name: value for name, value in environment.items() if name.startswith(PREFIX) and value}
    unknown = sorted(set(given) - set(fields))
    if unknown:
        raise ConfigError(f"{unknown[0]}: no such setting; known: {', '.join(fields)}")
    return ServerSettings(**{fields[name].name: _value(name, fields[name], value) for name, value in given.items()})


def _value(name: str, field: dataclasses.Field, given: str) -> str | int | float:
    if field.type is str:
        return given
    try:
        value = field.type(given)
    except ValueError:
        value = -1
    least = 0 if field.name == "detectors" else 1e-9
    if not least <= value < float("inf"):
        raise ConfigError(f"{name}={given!r}: expected a number above 0")
    return value
