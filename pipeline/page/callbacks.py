"""Callback addresses of jobs: only hosts that the operator allows are told, and nothing but that a job is finished."""

import json
from urllib.parse import urlsplit

import urllib3

TIMEOUT_S = 10.0
RETRIES = 4


def refusal(address: str, allowed: frozenset[str]) -> str:
    """Why an address may not be called, or ""; ``allowed`` holds hosts, or host:port."""
    try:
        parts = urlsplit(address)
        host, place = parts.hostname or "", f"{parts.hostname}:{parts.port}"
    except ValueError:
        return "callback: not an address"
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        return "callback: expected http:// or https:// with a host, and without a password"
    if not {host, place} & allowed:
        return f"callback: the host {host[:100]!r} is not allowed; start the page with --callbacks to allow it"
    return ""


def post(address: str, values: dict) -> str:
    """Send values as JSON, with retries that wait longer each time and without redirects; return the outcome."""
    retry = urllib3.Retry(
        RETRIES,
        redirect=0,
        backoff_factor=0.5,
        status_forcelist=(429, 502, 503, 504),
        allowed_methods=None,
        respect_retry_after_header=False,  # the other side must not choose how long a thread of this one waits
    )
    try:
        with urllib3.PoolManager(timeout=TIMEOUT_S, retries=retry) as client:
            answer = client.request(
                "POST",
                address,
                body=json.dumps(values),
                headers={"Content-Type": "application/json"},
                redirect=False,
            )
    except urllib3.exceptions.HTTPError as error:
        return type(error).__name__
    return f"status {answer.status}"
