"""The archive of Java's classes: made, used, and let alone when it does not fit."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sightflow.flink.archive import archive_of, flink_jars
from sightflow.flink.java import JVM_FLAGS, find_java_home

pytestmark = pytest.mark.flink


def test_java_starts_from_the_archive_that_the_command_makes(tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "sightflow.flink.archive"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    archive = Path(done.stdout.strip())

    assert archive.parent == tmp_path / "sightflow"
    assert list(archive.parent.iterdir()) == [archive], "no drafts, no lock"
    java = find_java_home() / "bin" / "java"
    flags = [*JVM_FLAGS, "-Xshare:on", f"-XX:SharedArchiveFile={archive}"]
    command = [java, *flags, "-cp", os.pathsep.join(flink_jars()), "-version"]
    assert subprocess.run(command, capture_output=True, timeout=60).returncode == 0


def test_another_jar_is_another_archive(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    jar = tmp_path / "a.jar"
    jar.write_bytes(b"one")
    before = archive_of(find_java_home(), [str(jar)])
    assert before == archive_of(find_java_home(), [str(jar)])
    jar.write_bytes(b"another")

    assert archive_of(find_java_home(), [str(jar)]) != before


def test_it_is_made_beside_the_first_job_and_used_by_the_next(tmp_path):
    script = (
        "import sys; from sightflow.flink.gateway import log_directory, start_gateway, _java\n"
        "start_gateway(); print([a for a in _java().args if 'SharedArchive' in a])"
    )
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}

    def start() -> str:
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert start() == "[]"
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("sightflow/java-*.jsa")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert str(tmp_path) in start()


@pytest.mark.parametrize(
    "changes", [{"HADOOP_CLASSPATH": "/nowhere/*"}, {"XDG_CACHE_HOME": "/proc/nowhere"}]
)
def test_java_starts_also_where_no_archive_can_be(changes):
    script = "from sightflow.flink.gateway import start_gateway; start_gateway()"
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, env=os.environ | changes, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
