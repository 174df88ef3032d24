"""A folder is listed again and again: with the moment at which each file came to be there."""

import os
import shutil
import time
from pathlib import Path

import fsspec
import pytest

from sightflow.errors import SourceError
from sightflow.storage.watching import Seen, place_of

OLD = (1_000_000_000, 1_000_000_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "in"
    found.mkdir()
    return found


def listed(path, since_ns: int = 0, known=(), **options) -> dict[str, Seen]:
    return {seen.path: seen for seen in place_of(str(path), **options).files(known, since_ns)}


def write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_files_are_found_in_folders_too(folder) -> None:
    write(folder / "a.jpg")
    write(folder / "day=2026-11-26" / "10" / "b.jpg")
    assert set(listed(folder)) == {"a.jpg", "day=2026-11-26/10/b.jpg"}
    assert set(listed(folder, recursive=False)) == {"a.jpg"}


def test_a_pattern_is_for_the_names_of_files(folder) -> None:
    write(folder / "a.JPG")
    write(folder / "b.txt")
    assert set(listed(folder, pattern="*.jpg")) == {"a.JPG"}


def test_hidden_and_temporary_files_are_not_listed(folder) -> None:
    for name in (".a.jpg", "a.jpg.part", "a.tmp", "a.jpg~", ".staging/a.jpg", "_temporary/a.jpg"):
        write(folder / name)
    write(folder / "a.jpg")
    assert set(listed(folder)) == {"a.jpg"}


@pytest.mark.parametrize("how", [os.rename, shutil.copy2, os.symlink, os.link])
def test_a_file_with_an_old_time_has_arrived_now(how, folder, tmp_path) -> None:
    old = write(tmp_path / "old.jpg")
    os.utime(old, OLD)
    before_ns = time.time_ns() - 50_000_000  # a file system counts in ticks of some milliseconds
    time.sleep(0.06)
    how(old, folder / "a.jpg")
    (seen,) = listed(folder).values()
    assert seen.modified_ns == OLD[0] * 1_000_000_000
    assert before_ns < seen.arrived_ns <= time.time_ns()


def test_a_folder_that_is_moved_in_says_when_it_came(folder, tmp_path) -> None:
    write(folder / "known" / "a.jpg")
    write(tmp_path / "day" / "deep" / "b.jpg")
    time.sleep(0.06)
    since_ns = time.time_ns() - 20_000_000
    os.rename(tmp_path / "day", folder / "day")
    found = listed(folder, since_ns, {"known"})
    b = found["day/deep/b.jpg"]
    assert (b.moved_with, found["known/a.jpg"].moved_with) == ("day", "")
    assert b.arrived_ns < since_ns <= b.moved_ns
    assert listed(folder, since_ns, {"known", "day", "day/deep"})["day/deep/b.jpg"].moved_ns == 0


def test_a_folder_that_is_mounted_again_has_not_come(folder) -> None:
    write(folder / "day" / "b.jpg")
    assert listed(folder, time.time_ns() + 1)["day/b.jpg"].moved_with == ""


def test_links_to_folders_are_not_followed_and_broken_links_are_left_out(folder) -> None:
    os.symlink(folder, folder / "loop")
    os.symlink(folder / "nowhere", folder / "broken")
    os.mkfifo(folder / "pipe")
    assert listed(folder) == {}


def test_a_folder_that_is_not_there_is_an_error(tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        listed(tmp_path / "nowhere")


def test_an_archive_cannot_be_watched() -> None:
    with pytest.raises(SourceError, match="an archive does not grow; watch a folder"):
        place_of("zip://a::photos.zip")


def test_a_storage_that_is_not_known_is_an_error() -> None:
    with pytest.raises(SourceError, match="ftpx://a: cannot be listed"):
        place_of("ftpx://a")


def test_uris_are_in_the_words_of_the_user(folder) -> None:
    assert place_of(f"{folder}/").uri("a.jpg") == f"{folder}/a.jpg"
    assert place_of(f"file://{folder}").uri("a.jpg") == f"file://{folder}/a.jpg"
    assert place_of("memory://in").uri("a/b.jpg") == "memory:///in/a/b.jpg"


def test_another_storage_is_listed_too() -> None:
    fs = fsspec.filesystem("memory")
    fs.pipe({"/watching/a.jpg": b"abc", "/watching/x/b.jpg": b"", "/watching/.c.jpg": b""})
    try:
        found = listed("memory://watching")
        assert set(found) == {"a.jpg", "x/b.jpg"}
        assert found["a.jpg"].tag == 3
        assert abs(found["a.jpg"].arrived_ns / 1e9 - time.time()) < 5
        assert set(listed("memory://watching", recursive=False)) == {"a.jpg"}
        assert listed("memory://empty") == {}
    finally:
        fs.rm("/watching", recursive=True)


def test_a_link_that_leads_nowhere_is_not_listed_and_hides_nothing(folder) -> None:
    write(folder / "a.jpg")
    (folder / "itself.jpg").symlink_to(folder / "itself.jpg")
    (folder / "through.jpg").symlink_to(folder / "a.jpg" / "b.jpg")
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "long.jpg").symlink_to("n" * 300)
    assert set(listed(folder)) == {"a.jpg"}


def test_a_storage_that_fails_in_its_own_way_is_an_error_of_input(monkeypatch) -> None:
    def broken(*args: object, **options: object) -> None:
        raise RuntimeError("no credentials")

    place = place_of("memory://watched-files")
    monkeypatch.setattr(fsspec.filesystem("memory"), "find", broken)
    with pytest.raises(OSError, match="no credentials"):
        list(place.files((), 0))


@pytest.mark.parametrize("url", ["reference://x", "generic://x", "dir://x"])
def test_a_url_that_its_storage_cannot_make_sense_of_is_refused(url: str) -> None:
    with pytest.raises(SourceError, match="cannot be listed"):
        place_of(url)
