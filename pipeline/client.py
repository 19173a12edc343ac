"""Score recordings on a server: the page's, or MLflow's with the registered model.

Prints a JSON line per recording, or writes a file of rows, which the same command resumes. A server that is busy or
restarts is asked again, after longer and longer waits. A page with users gets a log-in, or the header of a proxy.
"""

import base64
import dataclasses
import getpass
import json
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import urllib3

from pipeline import cli
from pipeline.common import parallel
from pipeline.common.progress import track
from pipeline.config import Config, option
from pipeline.errors import AudioError, AudioFault, ConfigError, ServerError
from pipeline.scoring import inputs
from pipeline.scoring.row import Row
from pipeline.scoring.row_file import RowFile

AT_ONCE = 4
"""Requests in progress at once."""
BUSY = (429, 502, 503, 504)
"""Statuses after which a request is sent again."""
OF_RECORDING = (400, 413, 422)
"""Statuses of a recording that the server refuses; others are faults of the address, the rights or the server."""
NO_SESSION = 401
LONGEST_WAIT_S = 60
"""Longest wait that a busy server may name."""
CONNECT_S = 10.0
MLFLOW_PATH = "/invocations"


@dataclass(frozen=True)
class ClientOptions:
    """Recordings and server."""

    input: tuple[str, ...] = option(
        (), "files, folders, patterns, and tables (.csv, .tsv, .parquet) with a column path and perhaps label"
    )
    url: str = option("http://127.0.0.1:8000", "address of a page, or of MLflow's server with /invocations at its end")
    user: str = option(
        "", "user of a page with a password file; the password is asked for, or read from a line of standard input"
    )
    header: str = option("", "header that every request gets, as a proxy may want it: 'NAME: VALUE'")
    output: str = option("", "file for all rows and columns: .csv, .jsonl or .parquet; empty: JSON lines are printed")
    timeout_s: float = option(120.0, "seconds to wait for the answer to a request", least=1)
    retries: int = option(6, "times that a request is sent again if the server is busy or away", least=0)


class Client:
    """Scores recordings on one server; threads may share it.

    Parameters
    ----------
    url : address of a page, or of MLflow's server with ``/invocations`` at its end.
    timeout_s : seconds to wait for an answer.
    retries : times that a request is sent again; the wait begins at half a second and doubles, unless the server
        names one.
    user, password : of a page with a password file; a session that has ended is begun again.
    headers : sent with every request.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 120.0,
        retries: int = 6,
        user: str = "",
        password: str = "",
        headers: Mapping[str, str] = MappingProxyType({}),
    ):
        place = url.rstrip("/")
        if not place.startswith(("http://", "https://")):
            raise ConfigError(f"--url {url}: expected an address that begins with http:// or https://")
        self._is_mlflow = place.endswith(MLFLOW_PATH)
        self._url = place if self._is_mlflow else f"{place}/api/recordings"
        parts = urlsplit(place)
        # A page with users answers only posts that name it as their origin.
        self._headers = dict(headers) if self._is_mlflow else {"Origin": f"{parts.scheme}://{parts.netloc}", **headers}
        self._login_url, self._credentials = f"{place}/api/login", {"name": user, "password": password}
        self._session, self._logging_in = "", threading.Lock()
        again = urllib3.Retry(
            retries,
            redirect=0,
            backoff_factor=0.5,
            status_forcelist=BUSY,
            allowed_methods=None,
            raise_on_status=False,
            retry_after_max=LONGEST_WAIT_S,
        )
        timeout = urllib3.Timeout(connect=CONNECT_S, read=timeout_s)
        self._http = urllib3.PoolManager(maxsize=AT_ONCE, retries=again, timeout=timeout)

    def row(self, path: str | Path) -> Row:
        """Row of a file; one that cannot be read, or that the server refuses, has the reason in ``error``.

        Raises ``ServerError`` if the server does not answer or stays busy.
        """
        try:
            return self._row(str(path), Path(path).read_bytes())
        except OSError as error:
            return Row(str(path), error=str(AudioError(AudioFault.UNREADABLE, error.strerror or str(error))))

    def _row(self, source: str, recording: bytes) -> Row:
        if self._is_mlflow:
            body = json.dumps({"dataframe_records": [{"audio": base64.b64encode(recording).decode()}]}).encode()
        else:
            body = recording
        kind = "application/json" if self._is_mlflow else "application/octet-stream"
        session = self._session
        answer = self._post(self._url, body, kind, session)
        if answer.status == NO_SESSION and self._credentials["name"]:
            answer = self._post(self._url, body, kind, self._log_in(session))
        try:
            values = answer.json()
            if answer.status == 200:
                row = values["predictions"][0] if self._is_mlflow else values["row"]
                known = {field.name for field in dataclasses.fields(Row)}
                return Row(**{n: v for n, v in row.items() if n in known} | {"source": source})
            reason = next(values[name] for name in ("detail", "error", "message") if name in values)
        except (ValueError, TypeError, AttributeError, LookupError, StopIteration):
            raise ServerError(
                f"{self._url}: status {answer.status} without a row; name a page's address, or MLflow's with "
                f"{MLFLOW_PATH}"
            ) from None
        if answer.status not in OF_RECORDING:
            reason = f"{reason}; give --user NAME" if answer.status == NO_SESSION else reason
            raise ServerError(f"{self._url}: status {answer.status}: {str(reason)[:200]}")
        return Row(source, error=str(AudioError(AudioFault.REFUSED, f"status {answer.status}: {reason}")))

    def _post(self, url: str, body: bytes, kind: str, session: str = "") -> urllib3.BaseHTTPResponse:
        """Answer to a request; raises ``ServerError`` if none comes, or if the server stays busy."""
        headers = {**self._headers, "Content-Type": kind, **({"Cookie": session} if session else {})}
        try:
            answer = self._http.request("POST", url, body=body, headers=headers, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            reason = getattr(error, "reason", None) or error
            raise ServerError(f"{url}: no answer ({type(reason).__name__}); is the server running?") from None
        if answer.status in BUSY:
            raise ServerError(f"{url}: busy (status {answer.status}); run the command again later")
        return answer

    def _log_in(self, ended: str) -> str:
        """Cookie of a new session, or of the one that another thread began after ``ended``."""
        with self._logging_in:
            if self._session == ended:
                answer = self._post(self._login_url, json.dumps(self._credentials).encode(), "application/json")
                if answer.status != 204:
                    raise ServerError(
                        f"{self._login_url}: {self._credentials['name']} cannot log in (status {answer.status}); check "
                        "--user and the password"
                    )
                self._session = answer.headers["Set-Cookie"].partition(";")[0]
            return self._session

    def rows(self, paths: Sequence[str]) -> Iterator[Row]:
        """Rows of files, in order; few requests are in progress at once."""
        yield from parallel.in_order(ThreadPoolExecutor(AT_ONCE), self.row, paths, ahead=2 * AT_ONCE)


@cli.command(options=ClientOptions)
def main(_: Config, options: ClientOptions) -> int:
    """Entry point of ``python -m pipeline.client``; returns 1 if a recording could not be scored."""
    paths = [recording.path for recording in inputs.find(options.input, "none")]
    client = Client(
        options.url,
        timeout_s=options.timeout_s,
        retries=options.retries,
        user=options.user,
        password=_password(options.user) if options.user else "",
        headers=_headers(options.header),
    )
    failed = 0
    if not options.output:
        for row in client.rows(paths):
            print(json.dumps(dataclasses.asdict(row)), flush=True)
            failed += bool(row.error)
        return 1 if failed else 0
    with RowFile(Path(options.output), {"url": options.url}, paths) as file:
        missing = [path for path in paths if path not in file]
        done = len(paths) - len(missing)
        for row in track(client.rows(missing), total=len(paths), what="client", unit="recording", done=done):
            file.add(row)
        file.finish()
        failed = sum(file.done_with(path).score is None for path in paths)
    print(f"{len(paths)} recordings, {failed} could not be scored: {options.output}", file=sys.stderr)
    return 1 if failed else 0


def _password(user: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(f"password of {user}: ")
    return sys.stdin.readline().rstrip("\n")


def _headers(text: str) -> dict[str, str]:
    name, colon, value = text.partition(":")
    if text and not (colon and name.strip() and value.strip()):
        raise ConfigError(f"--header {text!r}: expected 'NAME: VALUE'")
    return {name.strip(): value.strip()} if text else {}


if __name__ == "__main__":
    cli.run(main)
