"""The archive of Java's classes: made, used, and let alone when it does not fit."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from sightflow.flink.archive import archive_of, flink_jars
from sightflow.flink.gateway import JVM_FLAGS
from sightflow.flink.java import find_java_home

pytestmark = pytest.mark.flink


def test_java_starts_from_the_archive_that_the_command_makes(tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "sightflow.flink.archive"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    archive = Path(done.stdout.strip())

    assert archive.parent == tmp_path / "sightflow"
    assert list(archive.parent.iterdir()) == [archive], "no drafts"
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


def test_what_is_made_in_the_background_ends_with_the_process_and_leaves_nothing(tmp_path):
    script = (
        "import time; from sightflow.flink.archive import make_in_background\n"
        "make_in_background(); time.sleep(2.5)"
    )
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)

    assert not list((tmp_path / "sightflow").glob(".java-*"))
    left = [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(p.info["cmdline"])]
    assert left == []
