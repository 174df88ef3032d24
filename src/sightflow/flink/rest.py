"""REST of a Flink cluster: questions in, JSON out, and errors that say what to do."""

import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from sightflow.errors import JobError, PipelineError, SetupError

__all__ = ["Rest"]

_TIMEOUT_S = 30
_DEFAULT_PORT = 8081


@dataclass(frozen=True)
class Rest:
    """A cluster by the URL of its REST, such as `http://flink:8081`."""

    url: str

    def __post_init__(self) -> None:
        """Refuse what is no such URL."""
        parts = urlsplit(self.url)
        if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
            raise PipelineError(
                f"{self.url!r}: the REST of a cluster is http://HOST:PORT; for one that is only "
                "reached by https, or below a path, forward its port"
            )

    @property
    def host(self) -> str:
        """The name or address of the host, as URLs have it: one with colons is in brackets."""
        host = str(urlsplit(self.url).hostname)
        return f"[{host}]" if ":" in host else host

    @property
    def port(self) -> int:
        """The port; that of Flink where the URL has none."""
        return urlsplit(self.url).port or _DEFAULT_PORT

    def get(self, path: str) -> Any:
        """Return what is at a path.

        Raises:
            SetupError: no cluster answers.
            JobError: it refuses.
        """
        return self._ask("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send a request; return the answer. Errors are those of `get`."""
        return self._ask("POST", path, body)

    def patch(self, path: str) -> None:
        """Change what is at a path. Errors are those of `get`."""
        self._ask("PATCH", path, None)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        request = urllib.request.Request(
            f"http://{self.host}:{self.port}{path}",
            method=method,
            data=None if body is None else orjson.dumps(body),
            headers={"Content-Type": "application/json"},
        )
        try:
            with _OPENER.open(request, timeout=_TIMEOUT_S) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise JobError(f"{self.url}{path}: {_refusal(error.read())}") from error
        except OSError as error:
            raise SetupError(
                f"{self.url}: no Flink cluster answers there: {getattr(error, 'reason', error)}; "
                "name the one to use, http://HOST:PORT"
            ) from error
        try:
            return orjson.loads(text or b"null")
        except orjson.JSONDecodeError as error:
            raise SetupError(f"{self.url}: what answers there is no Flink cluster") from error


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""A cluster is reached directly, as Flink's own client reaches it."""


def _refusal(body: bytes) -> str:
    """Return in a line why Flink refuses."""
    try:
        errors = orjson.loads(body)["errors"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body.decode("utf-8", "replace")[:200] or "refused"
    lines: list[str] = [line for error in errors for line in error.splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith("Caused by: ")]
    return (causes[-1:] or lines or ["refused"])[0].removeprefix("Caused by: ")
