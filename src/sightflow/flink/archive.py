"""Java starts faster from an archive of the classes that Flink loads; it is made once and kept.

    python -m sightflow.flink.archive      makes it now, in some seconds

Without it, it is made beside the first job, at the lowest priority. It lies in the
user's cache folder and is for one Java, one Flink and one place of them; Java ignores another.
"""

import gzip
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pyflink.find_flink_home import _find_flink_home
from pyflink.pyflink_gateway_server import (
    construct_flink_classpath,
    prepare_environment_variables,
)

from sightflow.flink.java import JVM_FLAGS, find_java_home
from sightflow.storage.cache import cache_folder
from sightflow.storage.drafts import lock

__all__ = ["archive_of", "flink_jars", "make_archive", "make_in_background"]

_CLASSES = Path(__file__).parent / "jars" / "classes.txt.gz"
"""Names of the classes, made by `tools/list_classes.py`. A name that is not there is skipped."""
_LOWEST_PRIORITY = 19
_TIMEOUT_S = 120


def archive_of(java_home: Path, jars: Sequence[str]) -> Path:
    """Return where the archive for a Java and a class path is, or would be."""
    digest = hashlib.sha256((java_home / "release").read_bytes() + _CLASSES.read_bytes())
    for jar in jars:
        status = os.stat(jar)
        digest.update(f"{jar}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return cache_folder() / f"java-{digest.hexdigest()[:16]}.jsa"


def flink_jars() -> list[str]:
    """Return the class path of the Java process behind PyFlink."""
    environment = {**os.environ, "FLINK_HOME": _find_flink_home()}
    prepare_environment_variables(environment)
    return [jar for jar in construct_flink_classpath(environment).split(os.pathsep) if jar]


def make_archive(java_home: Path, jars: Sequence[str], flags: Sequence[str]) -> Path:
    """Make the archive; return where it is.

    Raises:
        BlockingIOError: another process is making it.
        OSError, subprocess.SubprocessError: the cache folder cannot be written, or Java fails.
    """
    archive = archive_of(java_home, jars)
    archive.parent.mkdir(parents=True, exist_ok=True)
    with (
        open(archive.with_suffix(".lock"), "w") as mark,
        tempfile.TemporaryDirectory(prefix=".java-", dir=archive.parent) as folder,
    ):
        if not lock(mark):
            raise BlockingIOError(f"{archive}: another process is making it")
        names, draft = Path(folder, "classes.txt"), Path(folder, "draft.jsa")
        names.write_bytes(gzip.decompress(_CLASSES.read_bytes()))
        command = [str(java_home / "bin" / "java"), *flags, "-Xshare:dump"]
        command += [f"-XX:SharedClassListFile={names}", f"-XX:SharedArchiveFile={draft}"]
        command += ["-cp", os.pathsep.join(jars)]
        subprocess.run(command, check=True, capture_output=True, timeout=_TIMEOUT_S)
        draft.replace(archive)
        archive.with_suffix(".lock").unlink()
    return archive


def make_in_background(java_home: Path, jars: Sequence[str], flags: Sequence[str]) -> None:
    """Make the archive beside what this process does, and after its end if need be."""
    subprocess.Popen(
        [sys.executable, "-m", "sightflow.flink.archive", str(java_home), *jars, "--", *flags],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is not for it
    )


def _main() -> None:
    """Make the archive of a command line, or the usual one."""
    if len(sys.argv) == 1:
        sys.stdout.write(f"{make_archive(find_java_home(), flink_jars(), JVM_FLAGS)}\n")
        return
    os.nice(_LOWEST_PRIORITY)
    java_home, *rest = sys.argv[1:]
    end = rest.index("--")
    with suppress(BlockingIOError):  # somebody else is making it
        make_archive(Path(java_home), rest[:end], rest[end + 1 :])


if __name__ == "__main__":
    _main()
