"""Files for their owner alone are whole or not there, and one writer at a time makes them."""

import stat
import threading
from pathlib import Path

import pytest

from sightflow.errors import OutputError
from sightflow.storage.privatefolder import (
    append_privately,
    locked,
    make_folder,
    replace_privately,
)


def modes(folder: Path) -> dict[str, str]:
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.iterdir()}


def test_a_file_is_replaced_by_one_that_others_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "a").touch(0o644)
    replace_privately(tmp_path / "a", (b"1", b"2"))
    assert (tmp_path / "a").read_bytes() == b"12"
    assert modes(tmp_path) == {"a": "0o600"}


def test_what_fails_while_it_is_written_leaves_no_draft(tmp_path: Path) -> None:
    replace_privately(tmp_path / "a", (b"1",))

    def parts():
        yield b"2"
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="a: cannot be written: No space left on device"):
        replace_privately(tmp_path / "a", parts())
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"1")]


def test_a_file_goes_on_from_a_place(tmp_path: Path) -> None:
    replace_privately(tmp_path / "a", (b"whole, torn",))
    append_privately(tmp_path / "a", b"2", start=6)
    assert (tmp_path / "a").read_bytes() == b"whole,2"


def test_a_file_that_is_not_there_does_not_go_on(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="a: cannot be written: No such file"):
        append_privately(tmp_path / "a", b"2", start=0)


def test_a_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b", ())
    assert modes(tmp_path / "a") == {"b": "0o700"}


def test_one_writer_at_a_time_has_a_folder(tmp_path: Path) -> None:
    order = []

    def write() -> None:
        with locked(tmp_path):
            order.append("second")

    thread = threading.Thread(target=write)
    with locked(tmp_path):
        thread.start()
        thread.join(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_writer_removes_drafts_of_those_that_died_and_nothing_else(tmp_path: Path) -> None:
    for name in (".a.01234567.partial", "b.partial", ".c"):
        (tmp_path / name).touch()
    with locked(tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".c", ".lock", "b.partial"]
