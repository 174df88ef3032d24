"""Jars of connectors are found without a network where they are there, and are never wrong ones."""

import hashlib
import sys
import threading
from pathlib import Path

import pytest

from sightflow.errors import SetupError
from sightflow.flink.jars import KAFKA, Jar, find_jar, kept_jar

CONTENT = b"a jar"
JAR = Jar("org.example", "thing", "1.0", hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SIGHTFLOW_JARS", raising=False)
    return tmp_path / "cache" / "sightflow" / "jars"


def giving(content: bytes, seen: list[Jar]):
    """Return a way to fetch that gives these bytes and notes what it was asked for."""

    def fetch(jar: Jar, folder: Path) -> Path:
        seen.append(jar)
        path = folder / "org" / jar.file_name
        path.parent.mkdir()
        path.write_bytes(content)
        return path

    return fetch


def offline(jar: Jar, folder: Path) -> Path:
    raise OSError("no route to host")


def test_a_jar_is_fetched_once_and_kept(cache: Path) -> None:
    seen: list[Jar] = []
    assert kept_jar(JAR) is None
    assert find_jar(JAR, giving(CONTENT, seen)) == cache / "thing-1.0.jar"
    assert find_jar(JAR, offline) == kept_jar(JAR) == cache / "thing-1.0.jar"
    assert seen == [JAR]
    assert [path.name for path in cache.iterdir()] == ["thing-1.0.jar"]


def test_the_folder_of_the_user_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_jar(JAR, giving(CONTENT, []))
    (tmp_path / "thing-1.0.jar").write_bytes(CONTENT)
    monkeypatch.setenv("SIGHTFLOW_JARS", str(tmp_path))
    assert find_jar(JAR, offline) == tmp_path / "thing-1.0.jar"


def test_a_folder_that_lacks_the_jar_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setenv("SIGHTFLOW_JARS", str(tmp_path))
    assert find_jar(JAR, giving(CONTENT, [])).parent == cache


def test_another_jar_of_that_name_in_the_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "thing-1.0.jar").write_bytes(b"another")
    monkeypatch.setenv("SIGHTFLOW_JARS", str(tmp_path))
    with pytest.raises(SetupError, match=r"thing-1\.0\.jar: must be org\.example:thing:1\.0 with"):
        find_jar(JAR, giving(CONTENT, []))


def test_what_is_fetched_is_checked_and_not_kept_where_it_is_wrong(cache: Path) -> None:
    with pytest.raises(SetupError, match=f"with sha256 {JAR.sha256}; got "):
        find_jar(JAR, giving(b"half a j", []))
    assert list(cache.iterdir()) == []


def test_a_kept_jar_that_was_damaged_is_fetched_again(cache: Path) -> None:
    seen: list[Jar] = []
    find_jar(JAR, giving(CONTENT, seen)).write_bytes(b"a ja")
    assert find_jar(JAR, giving(CONTENT, seen)).read_bytes() == CONTENT
    assert seen == [JAR, JAR]


def test_two_that_fetch_at_the_same_time_do_not_disturb_each_other(cache: Path) -> None:
    both, found = threading.Barrier(2), list[bytes]()

    def fetch(jar: Jar, folder: Path) -> Path:
        path = folder / "half"
        path.write_bytes(CONTENT[:2])
        both.wait(10)
        path.write_bytes(CONTENT)
        return path

    threads = [
        threading.Thread(target=lambda: found.append(find_jar(JAR, fetch).read_bytes()))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == [CONTENT, CONTENT]
    assert [path.name for path in cache.iterdir()] == ["thing-1.0.jar"]


def test_without_a_network_the_error_says_what_to_do() -> None:
    with pytest.raises(SetupError, match=r"no route to host; without a network, put thing-1\.0"):
        find_jar(JAR, offline)


def test_without_the_package_that_fetches_the_error_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "jgo.maven", None)
    with pytest.raises(SetupError, match=r"pip install 'sightflow\[kafka\]'"):
        find_jar(JAR)


def test_the_connector_is_named_as_maven_names_it() -> None:
    assert str(KAFKA) == "org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2"
    assert KAFKA.file_name == "flink-sql-connector-kafka-5.0.0-2.2.jar"
