"""The tracking server, which may be far away and silent: where it is, and what becomes of a call that it never answers.

MLflow asks again for minutes before it gives up, and then raises an error like any other. Here silence has an error of
its own that says what to do, and whoever has better things to do than wait need not.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.config import PROJECT_ROOT
from pipeline.errors import TrackingError

QUICK_TIMEOUT_S = 5
"""How long a server may take where something else waits for its answer."""
_UNWRITABLE = re.compile("database or disk is full|attempt to write a readonly database|unable to open database file")
"""What SQLite says, in errors that MLflow has no class for."""


def configure() -> None:
    """Point MLflow at ``$MLFLOW_TRACKING_URI``, or else at ``mlflow.db`` in the project.

    No usage reports are sent, and no bar is drawn for every file that is copied.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{PROJECT_ROOT / 'mlflow.db'}")


def check() -> None:
    """Raise ``TrackingError`` where the tracking server does not answer within seconds."""
    configure()
    import mlflow

    if mlflow.get_tracking_uri().startswith("http"):
        with named_silence(), quickly(retries=2):
            mlflow.MlflowClient().search_experiments(max_results=1)


def unknown(error: "mlflow.exceptions.MlflowException") -> bool:  # noqa: F821
    """Whether the server answered, and its answer is that it has no such thing."""
    return error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND")


def silence(error: "mlflow.exceptions.MlflowException") -> str:  # noqa: F821
    """Why a server did not answer, or "" where it did."""
    text = str(error)
    if not text.startswith("API request to http"):  # MLflow has no class of its own for it
        return ""
    if "timeout" in text.lower() or "timed out" in text.lower():
        return "no answer in time"
    found = re.search(r"\[Errno -?\d+\] ([^'\")]+)", text)
    return found[1] if found else without_password(text.splitlines()[0])[:200]


@contextmanager
def named_silence() -> Iterator[None]:
    """Turn the error of a server that does not answer, or of a store that is full, into one that says what to do."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        import mlflow

        where = without_password(mlflow.get_tracking_uri())
        if error.error_code == "UNAUTHENTICATED":
            given = "another name or password" if "MLFLOW_TRACKING_USERNAME" in os.environ else "a name and a password"
            raise TrackingError(
                f"the tracking server {where} wants {given}; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            ) from None
        if reason := silence(error):
            what = f"the tracking server {where} does not answer ({reason}); start it"
        elif full := _UNWRITABLE.search(str(error)):
            what = f"the tracking store {where} cannot be written ({full[0]}); free some space or give the right to"
        else:
            raise
        raise TrackingError(f"{what}, or check MLFLOW_TRACKING_URI, and the same command goes on") from None


@contextmanager
def quickly(retries: int = 0) -> Iterator[None]:
    """Inside the block, MLflow soon gives up on a server that does not answer."""
    wanted = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": retries, "MLFLOW_HTTP_REQUEST_TIMEOUT": QUICK_TIMEOUT_S}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update({name: str(min(value, int(before[name] or value))) for name, value in wanted.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def without_password(text: str) -> str:
    """A text in which URLs show no password."""
    return re.sub(r"(://[^:/@\s]+):[^@\s]+@", r"\1:***@", text)
