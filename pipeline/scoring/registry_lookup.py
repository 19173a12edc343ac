"""Version of a registered model, looked up without MLflow, whose import takes seconds.

An alias can move, so the registry is asked at each call: a server by MLflow's REST interface, an SQLite file by its
tables. Other stores, names and answers are left to MLflow, which finds the version or says what is wrong.
"""

import base64
import json
import os
import re
import sqlite3
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.parse import quote, unquote, urlencode

TIMEOUT_S = 5
_NAMED = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")
_OTHER_REGISTRY = ("MLFLOW_REGISTRY_URI", "MLFLOW_WORKSPACE")
_SELECT = "select version, creation_time, coalesce(storage_location, source) from model_versions"
_LIVE = "current_stage != 'Deleted_Internal' and name = ?"
_BY_ALIAS = f"{_SELECT} join registered_model_aliases using (workspace, name, version) where {_LIVE} and alias = ?"
_BY_VERSION = f"{_SELECT} where {_LIVE} and version = ?"


@dataclass(frozen=True)
class Version:
    """Registered version: its number, when it was created (ms since 1970) and where its artifacts are."""

    name: str
    number: str
    created_ms: int
    location: str

    @property
    def uri(self) -> str:
        """URI that names this version for ever."""
        return f"models:/{self.name}/{self.number}"

    @property
    def folder(self) -> Path | None:
        """Its artifacts if they are a folder of this machine."""
        path = unquote(self.location.removeprefix("file://")) if self.location.startswith("file:///") else self.location
        return Path(path) if os.path.isabs(path) and os.path.isdir(path) else None


def find(uri: str, store: str) -> Version | None:
    """Version that ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION`` names now; ``None`` if MLflow has to say.

    ``store`` is the address of the tracking server, or ``sqlite:///FILE``.
    """
    named = _NAMED.fullmatch(uri)
    if named is None or any(os.environ.get(name) for name in _OTHER_REGISTRY):
        return None
    try:
        if store.startswith("http"):
            return _at_server(store, **named.groupdict())
        if store.startswith("sqlite:///"):
            return _in_file(store.removeprefix("sqlite:///"), **named.groupdict())
    except (OSError, HTTPException, sqlite3.Error, ValueError, LookupError):
        pass
    return None


def _at_server(store: str, name: str, alias: str | None, version: str | None) -> Version:
    call = "registered-models/alias" if alias else "model-versions/get"
    query = urlencode({"name": name, "alias": alias} if alias else {"name": name, "version": version})
    request = urllib.request.Request(f"{store.rstrip('/')}/api/2.0/mlflow/{call}?{query}")
    user, password = (os.environ.get(f"MLFLOW_TRACKING_{part}", "") for part in ("USERNAME", "PASSWORD"))
    if user and password:
        login = base64.b64encode(f"{user}:{password}".encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {login}")
    elif token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        found = json.load(answer)["model_version"]
    return Version(name, str(found["version"]), int(found["creation_timestamp"]), str(found["source"]))


def _in_file(path: str, name: str, alias: str | None, version: str | None) -> Version | None:
    select, key = (_BY_ALIAS, alias) if alias else (_BY_VERSION, version)
    with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)) as database:
        rows = database.execute(select, (name, key)).fetchall()
    if len(rows) != 1:
        return None
    ((number, created_ms, location),) = rows
    return Version(name, str(number), int(created_ms), str(location))
