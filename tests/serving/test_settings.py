"""A server reads its settings from its environment, and names mistakes in them."""

import pytest

from pipeline.errors import ConfigError
from pipeline.serving import settings
from pipeline.serving.settings import ServerSettings


def test_defaults_and_given_values():
    assert settings.read({"PATH": "x", "SPOOF_SERVE_MAX_ROWS": ""}) == ServerSettings()
    found = settings.read({"SPOOF_SERVE_MAX_ROWS": "7", "SPOOF_SERVE_MAX_BODY_MB": "0.5", "SPOOF_SERVE_ROOT": "/a"})
    assert (found.max_rows, found.max_body_mb, found.root) == (7, 0.5, "/a")
    limits = settings.read({"SPOOF_SERVE_MAX_RECORDING_MB": "2", "SPOOF_SERVE_MAX_CHANNELS": "3"}).limits
    assert (limits.max_bytes, limits.max_channels, limits.max_s) == (2e6, 3, 600)


@pytest.mark.parametrize("given", ["many", "-1", "0", "nan", "inf", "1.5"])
def test_values_that_are_no_limit_are_refused(given):
    with pytest.raises(ConfigError, match=f"SPOOF_SERVE_MAX_ROWS='{given}': expected a number above 0"):
        settings.read({"SPOOF_SERVE_MAX_ROWS": given})


def test_a_misspelt_setting_is_refused():
    with pytest.raises(ConfigError, match="SPOOF_SERVE_MAX_ROW: no such setting; known: SPOOF_SERVE_ROOT"):
        settings.read({"SPOOF_SERVE_MAX_ROW": "7"})
