"""A table is complete before it is looked at, and all workers of a process share one."""

import threading
import time

import pytest
from tests.tables import KnownWords, Words, add_words

from sightflow.engine.chunks import ChunkResult
from sightflow.engine.tables import (
    SharedTable,
    TablesHere,
    TableState,
    Told,
    in_parts,
    updates,
)
from sightflow.errors import JobError
from sightflow.testing import a_context


def told(number, rows=None, *, attempt="one", is_complete=False):
    rows = {key: value.encode() for key, value in (rows or {}).items()}
    return Told(attempt, number, number + 1, rows, is_complete)


def a_shared_table():
    return SharedTable(Words("nowhere"))


def words_of(shared) -> dict[str, str]:
    table = shared.get()
    assert isinstance(table, KnownWords)
    return table.now[1]


def test_what_each_worker_is_told_is_taken_in_once():
    shared = a_shared_table()
    for number in range(3):  # two workers, of which each is told all
        for _ in range(2):
            shared.tell(told(number, {f"k{number}": "word"}, is_complete=number == 2))

    assert words_of(shared) == {"k0": "word", "k1": "word", "k2": "word"}


def test_a_worker_that_is_far_behind_changes_nothing():
    shared = a_shared_table()
    shared.tell(told(0, {"a": "old"}))
    shared.tell(told(1, {"a": "new"}, is_complete=True))
    shared.tell(told(0, {"a": "old"}))
    assert words_of(shared) == {"a": "new"}


def test_a_new_attempt_begins_with_an_empty_table():
    shared = a_shared_table()
    shared.tell(told(0, {"a": "before"}, is_complete=True))
    shared.tell(told(0, {"b": "after"}, attempt="two", is_complete=True))
    assert words_of(shared) == {"b": "after"}


def test_who_looks_waits_until_it_is_complete():
    shared = a_shared_table()
    found = []
    thread = threading.Thread(target=lambda: found.append(words_of(shared)))
    thread.start()
    shared.tell(told(0, {"a": "x"}))
    time.sleep(0.05)
    assert not found
    shared.tell(told(1, {"b": "y"}, is_complete=True))
    thread.join(5)
    assert found == [{"a": "x", "b": "y"}]


def test_a_table_that_is_never_complete_is_an_error(monkeypatch):
    monkeypatch.setattr("sightflow.engine.tables._PATIENCE_S", 0.01)
    with pytest.raises(JobError, match=r"Words\(path='nowhere'\): nothing of it was read for 0 s"):
        a_shared_table().get()


def test_what_is_told_comes_back_from_bytes():
    message = Told("one", 3, 7, {"a": b"\x00\xff", "b": None}, True)
    assert Told.decode(message.encode()) == message


def test_a_state_comes_back_from_bytes():
    state = TableState(version=7, position="12")
    assert TableState.decode(state.encode()) == state


def test_who_waits_for_what_cannot_be_read_is_let_go():
    shared = a_shared_table()
    failed = []

    def look():
        with pytest.raises(JobError, match="the disk is gone"):
            shared.get()
        failed.append(True)

    thread = threading.Thread(target=look)
    thread.start()
    shared.give_up(OSError("the disk is gone"))
    thread.join(5)
    assert failed


def test_a_version_without_a_change_is_known_too():
    shared = a_shared_table()
    shared.tell(told(0, {"a": "x"}))
    shared.tell(told(1, is_complete=True))
    assert shared.get().now == (2, {"a": "x"})


def test_updates_come_for_a_short_time_only(tmp_path):
    path = tmp_path / "words"
    add_words(path, **{f"k{i}": "word" for i in range(50)})
    stream = Words(str(path)).open_updates(a_context(), None, {})

    some = []
    for state, update in updates(stream, TableState(), 0.0, 0.01):
        some.append((state, update))
        time.sleep(0.02)

    assert len(some) == 1, "a checkpoint may be waiting"
    rest = list(updates(stream, some[-1][0], 0.0, 10.0))
    assert len(rest) == 49
    state, update = rest[-1]
    assert (state.version, state.position) == (update.version, str(path.stat().st_size))


def test_large_tables_travel_in_parts():
    rows = {f"k{i}": b"x" * 100 for i in range(10)}
    parts = list(in_parts(rows, 250))
    assert [len(part) for part in parts] == [3, 3, 3, 1]
    assert {key: value for part in parts for key, value in part.items()} == rows
    assert list(in_parts({}, 250)) == []


def test_in_one_process_a_table_grows_between_results(tmp_path):
    path = tmp_path / "words"
    add_words(path, a="x")
    source = Words(str(path))
    tables = TablesHere([source], a_context())
    table_of = tables.of(source)
    assert table_of().now[1] == {"a": "x"}

    results = [ChunkResult(0, 1), ChunkResult(1, 1)]
    told_so_far = []
    for result in tables.told(results):
        told_so_far.append(result.number)
        if result.number == 0:
            add_words(path, b="y", a=None)

    assert table_of().now[1] == {"b": "y"}
    assert told_so_far == [0, None, None, 1]
