"""Messages are whole lines, whoever adds them at the same time."""

import threading

import pytest

from sightflow.errors import SourceError
from sightflow.sources.jsoncontrol import JsonControl, add_message
from sightflow.testing import a_context


def test_a_line_is_a_message_once_its_end_is_there(tmp_path):
    path = tmp_path / "c.jsonl"
    messages = JsonControl(str(path)).open_messages(a_context(), None)
    assert messages.is_caught_up(), "the file need not be there yet"
    path.write_bytes(b"one\ntw")
    assert messages.poll(1.0) == (f"{path}#0", b"one\n")
    assert messages.poll(0.0) is None
    with open(path, "ab") as file:
        file.write(b"o\n")
    assert messages.poll(1.0) == (f"{path}#4", b"two\n")


def test_what_is_added_begins_behind_the_end_of_a_line(tmp_path):
    path = tmp_path / "folder" / "c.jsonl"
    add_message(path, b"one")
    assert path.stat().st_mode & 0o077 == 0, "it may have passwords"
    with open(path, "ab") as file:
        file.write(b"an editor leaves no end")
    add_message(path, b"two")
    assert path.read_bytes() == b"one\nan editor leaves no end\ntwo\n"


def test_many_may_add_at_once(tmp_path):
    path = tmp_path / "c.jsonl"
    lines = [b"%d" % i * 2000 for i in range(8)]

    def add(line: bytes) -> None:
        for _ in range(20):
            add_message(path, line)

    threads = [threading.Thread(target=add, args=(line,)) for line in lines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.read_bytes().splitlines()) == sorted(lines * 20)


def test_a_folder_is_no_file_of_lines(tmp_path):
    with pytest.raises(SourceError, match="is a folder; a file of lines is needed here"):
        JsonControl(str(tmp_path)).check()
