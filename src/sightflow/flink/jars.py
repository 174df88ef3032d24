"""Jars of connectors: named by Maven coordinates, of one version and checksum, kept once found."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from sightflow.errors import SetupError
from sightflow.storage.cache import cache_folder

__all__ = ["JARS_VARIABLE", "KAFKA", "Jar", "find_jar", "kept_jar"]

JARS_VARIABLE = "SIGHTFLOW_JARS"
"""The environment variable that names a folder of jars; nothing is fetched that is in it."""


@dataclass(frozen=True)
class Jar:
    """A jar as Maven names it."""

    group: str
    name: str
    version: str
    sha256: str
    """Of its bytes, in hexadecimal digits."""

    @property
    def file_name(self) -> str:
        """Return the name of its file, as Maven gives it."""
        return f"{self.name}-{self.version}.jar"

    def __str__(self) -> str:
        """Return the coordinates."""
        return f"{self.group}:{self.name}:{self.version}"


KAFKA = Jar(
    "org.apache.flink",
    "flink-sql-connector-kafka",
    "5.0.0-2.2",
    "5605c691d11a501382c383fecba37a7a552467da5ab7ba904ef5d6f3d62c5616",
)
"""Flink's connector for Kafka, with the client in it: 10.7 MB, Apache-2.0. It is of the release for
Flink 2.2, the newest there is, and works with 2.3."""

Fetch: TypeAlias = Callable[[Jar, Path], Path]
"""Fetches a jar by way of a folder for what it needs on the way; returns where the jar is."""


def kept_jar(jar: Jar) -> Path | None:
    """Return a jar that is on this machine: in the folder of `SIGHTFLOW_JARS`, or kept from before.

    Raises:
        SetupError: the folder has a file of this name that is another jar.
    """
    folder = os.environ.get(JARS_VARIABLE)
    if folder and (given := Path(folder, jar.file_name)).exists():
        _check(jar, given)
        return given
    kept = _place_of(jar)
    return kept if kept.exists() and _digest(kept) == jar.sha256 else None


def find_jar(jar: Jar, fetch: Fetch | None = None) -> Path:
    """Return a jar that is on this machine, or fetch it once and keep it in the user's cache.

    Processes that fetch it at the same time do not disturb each other: it appears when it is
    complete and checked.

    Args:
        jar: which.
        fetch: how it is fetched; None: from Maven Central, or what stands for it here.

    Raises:
        SetupError: it is not there and cannot be fetched, or is not what it should be.
    """
    found = kept_jar(jar)
    if found is not None:
        return found
    place = _place_of(jar)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=place.parent) as folder:
            fetched = (fetch or _fetch)(jar, Path(folder))
            _check(jar, fetched)
            os.replace(fetched, place)
    except SetupError:
        raise
    except (OSError, RuntimeError) as error:  # requests raise the one, jgo the other
        raise SetupError(f"{jar}: cannot be fetched: {error}; {_advice(jar)}") from error
    return place


def _place_of(jar: Jar) -> Path:
    return cache_folder() / "jars" / jar.file_name


def _fetch(jar: Jar, folder: Path) -> Path:
    """Fetch a jar with jgo into a folder."""
    try:
        from jgo.maven import MavenContext
    except ImportError as error:
        raise SetupError(
            f"{jar}: package `jgo` fetches it and is missing; `pip install 'sightflow[kafka]'` "
            f"brings it; {_advice(jar)}"
        ) from error
    component = MavenContext(repo_cache=folder).project(jar.group, jar.name)
    return Path(component.at_version(jar.version).artifact().resolve())


def _check(jar: Jar, path: Path) -> None:
    found = _digest(path)
    if found != jar.sha256:
        raise SetupError(
            f"{path}: must be {jar} with sha256 {jar.sha256}; got {found}; {_advice(jar)}"
        )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _advice(jar: Jar) -> str:
    return (
        f"without a network, put {jar.file_name} into a folder and set {JARS_VARIABLE} to the "
        "folder"
    )
