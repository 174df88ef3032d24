"""A gallery as a table: who is there at first, and whoever is enrolled and forgotten meanwhile."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sightflow.errors import GalleryError
from sightflow.protocols import TableSource
from sightflow.records import TableUpdate
from sightflow.records.schema import event_row
from sightflow.storage.galleryfile import GalleryFacts, GalleryFile, NewFace
from sightflow.tasks import gallery as gallery_module
from sightflow.tasks.gallery import Gallery, GalleryTable, GalleryUpdates, face_row, person_of
from sightflow.testing import a_context

FACTS = GalleryFacts("mobilefacenet", "1", 2)
MODEL = "mobilefacenet 1"
EAST = np.array([1.0, 0.0], np.float32)
NORTH = np.array([0.0, 1.0], np.float32)


@pytest.fixture(autouse=True)
def _prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the file as often as asked, and without a key."""
    monkeypatch.setattr(gallery_module, "_LOOK_EVERY_S", 0.0)
    monkeypatch.delenv("SIGHTFLOW_GALLERY_KEY", raising=False)


@pytest.fixture
def file(tmp_path: Path) -> GalleryFile:
    """Return the files of a gallery without faces."""
    found = GalleryFile(tmp_path / "gallery")
    found.enrol([], FACTS)
    return found


def enrol(file: GalleryFile, *names: str) -> None:
    """Enrol people, each with one picture; all are alike."""
    faces = [NewFace(name, EAST, f"{name}.jpg") for name in names]
    file.enrol(faces, FACTS)


def opened(
    file: GalleryFile, position: str | None = None, rows: Mapping[str, bytes] | None = None
) -> GalleryUpdates:
    return Gallery(str(file.folder)).open_updates(a_context("who"), position, rows or {})


def polled(updates: GalleryUpdates) -> TableUpdate:
    update = updates.poll(0.0)
    assert update is not None
    return update


def caught_up(updates: GalleryUpdates) -> list[TableUpdate]:
    """Return the updates until it is caught up."""
    found = []
    while not updates.is_caught_up():
        update = updates.poll(0.0)
        found += [] if update is None else [update]
    return found


def people_of(update: TableUpdate) -> list[str | None]:
    return [None if row is None else person_of(row) for row in update.rows.values()]


def news_of(update: TableUpdate) -> list[dict[str, float]]:
    return [dict(event.figures or {}) for event in update.events]


def test_it_is_a_source_of_a_table(file):
    assert isinstance(Gallery(str(file.folder)), TableSource)


# At first


def test_all_who_are_there_at_first_are_told_and_are_no_news(file):
    enrol(file, "Ada", "Bob")

    updates = opened(file)
    (update,) = caught_up(updates)

    assert people_of(update) == ["Ada", "Bob"]
    assert (update.version, update.events) == (2, ())


def test_it_is_caught_up_behind_the_last_of_them_and_not_before(file):
    enrol(file, "Ada")
    updates = opened(file)
    assert not updates.is_caught_up()

    polled(updates)

    assert updates.is_caught_up()


def test_an_empty_gallery_is_caught_up_at_once(file):
    updates = opened(file)

    assert updates.poll(0.0) is None
    assert updates.is_caught_up()
    assert updates.position() == f"{file.gallery_id()} 0"


def test_a_large_gallery_comes_in_parts_each_with_the_version_of_its_end(file, monkeypatch):
    monkeypatch.setattr(gallery_module, "_AT_ONCE", 3)
    enrol(file, *(f"p{i}" for i in range(8)))
    updates = opened(file)

    parts = [polled(updates) for _ in range(2)]
    assert not updates.is_caught_up()
    parts.append(polled(updates))

    assert updates.is_caught_up()
    assert [people_of(part) for part in parts] == [
        ["p0", "p1", "p2"],
        ["p3", "p4", "p5"],
        ["p6", "p7"],
    ]
    assert [part.version for part in parts] == [3, 6, 8]
    assert all(part.events == () for part in parts)


def test_who_was_forgotten_before_is_not_told(file):
    enrol(file, "Ada", "Bob")
    file.forget("Ada")

    updates = caught_up(opened(file))

    assert [people_of(update) for update in updates] == [["Bob", None]]
    assert updates[0].version == 3


# Meanwhile


def test_who_is_enrolled_later_is_news_without_a_name(file):
    enrol(file, "Ada")
    updates = opened(file)
    caught_up(updates)
    enrol(file, "Bob", "Cleo")

    before_ms = int(time.time() * 1000)
    update = polled(updates)

    assert people_of(update) == ["Bob", "Cleo"]
    assert update.version == 3
    (event,) = update.events
    assert (event.kind, event.step, event.source_id) == ("gallery", "who", "")
    assert event.event_time_ms >= before_ms
    assert news_of(update) == [{"version": 3, "n_enrolled": 2, "n_forgotten": 0}]
    assert not any("Bob" in str(value) for value in event_row(event).values())


def test_who_is_forgotten_loses_the_rows_that_were_told_of_them(file):
    enrol(file, "Ada", "Bob")
    file.enrol([NewFace("Ada", NORTH, "other.jpg")], FACTS)
    updates = opened(file)
    (first,) = caught_up(updates)
    keys = [key for key, row in first.rows.items() if row and person_of(row) == "Ada"]
    file.forget("Ada")

    update = polled(updates)

    assert update.rows == dict.fromkeys(keys)
    assert len(keys) == 2
    assert news_of(update) == [{"version": 4, "n_enrolled": 0, "n_forgotten": 2}]


def test_who_comes_and_goes_in_one_look_is_gone(file):
    updates = opened(file)
    caught_up(updates)
    enrol(file, "Ada", "Bob")
    file.forget("Ada")

    update = polled(updates)

    assert people_of(update) == ["Bob", None]


def test_where_nothing_changes_nothing_is_told(file):
    enrol(file, "Ada")
    updates = opened(file)
    caught_up(updates)

    assert [updates.poll(0.0) for _ in range(3)] == [None, None, None]


def test_it_waits_for_changes_as_long_as_it_was_told_to(file, monkeypatch):
    monkeypatch.setattr(gallery_module, "_LOOK_EVERY_S", 60.0)
    updates = opened(file)
    updates.poll(0.0)

    started = time.monotonic()
    assert updates.poll(0.05) is None
    assert 0.04 < time.monotonic() - started < 10


# After a restart


def test_it_goes_on_behind_the_position_and_that_is_news(file):
    enrol(file, "Ada")
    updates = opened(file)
    (first,) = caught_up(updates)
    position, keys = updates.position(), list(first.rows)
    enrol(file, "Bob")
    file.forget("Ada")

    again = opened(file, position, {keys[0]: first.rows[keys[0]]})
    (update,) = caught_up(again)

    assert people_of(update) == ["Bob", None]
    assert list(update.rows)[1] == keys[0]
    assert news_of(update) == [{"version": 3, "n_enrolled": 1, "n_forgotten": 1}]
    gallery_id = file.gallery_id()
    assert (position, again.position()) == (f"{gallery_id} 1", f"{gallery_id} 3")


def test_behind_the_last_change_there_is_nothing(file):
    enrol(file, "Ada", "Bob")

    again = opened(file, f"{file.gallery_id()} 2")

    assert caught_up(again) == []
    assert again.position() == f"{file.gallery_id()} 2"


def test_a_load_that_was_interrupted_goes_on_behind_its_part(file, monkeypatch):
    monkeypatch.setattr(gallery_module, "_AT_ONCE", 2)
    enrol(file, "Ada", "Bob", "Cleo")
    updates = opened(file)
    polled(updates)

    again = opened(file, updates.position())

    assert [people_of(update) for update in caught_up(again)] == [["Cleo"]]


def test_a_table_is_the_same_however_its_updates_were_parted(file, monkeypatch):
    whole, parted = GalleryTable(), GalleryTable()
    enrol(file, *(f"p{i}" for i in range(7)))
    file.forget("p3")
    for update in caught_up(opened(file)):
        whole.update(update)
    monkeypatch.setattr(gallery_module, "_AT_ONCE", 2)
    for update in caught_up(opened(file)):
        parted.update(update)

    assert parted.person_ids == whole.person_ids == {f"p{i}" for i in (0, 1, 2, 4, 5, 6)}
    assert parted.version == whole.version == 8


# The table


def a_row(person_id: str, embedding: Any = EAST) -> bytes:
    return face_row(person_id, embedding, MODEL)


def test_a_row_is_a_person_an_embedding_and_a_model():
    table = GalleryTable()

    table.update(TableUpdate(5, {"a": a_row("Ada"), "b": a_row("Zoë", NORTH)}))

    assert (table.version, table.model, len(table)) == (5, MODEL, 2)
    (match,) = table.search(NORTH[None])
    assert (match.person_id, match.similarity, match.next_similarity) == ("Zoë", 1.0, 0.0)
    assert person_of(a_row("Zoë")) == "Zoë"


def test_a_new_table_has_nobody_and_no_model(file):
    table = Gallery(str(file.folder)).open_table()

    assert (len(table), table.model, table.version) == (0, "", 0)


def test_the_model_is_known_when_all_are_forgotten():
    table = GalleryTable()
    table.update(TableUpdate(1, {"a": a_row("Ada")}))

    table.update(TableUpdate(2, {"a": None}))

    assert (len(table), table.model) == (0, MODEL)


# What cannot be


def test_a_folder_that_is_no_gallery_is_refused(tmp_path):
    with pytest.raises(GalleryError, match="no gallery is there; `sightflow faces enrol` makes"):
        Gallery(str(tmp_path)).check()


def test_a_gallery_that_is_there_is_taken(file):
    Gallery(str(file.folder)).check()


def test_another_gallery_at_its_place_ends_the_job(file):
    enrol(file, "Ada", "Bob")
    with pytest.raises(GalleryError, match=r"has 2 changes, after 9 were read: .* start the run"):
        caught_up(opened(file, f"{file.gallery_id()} 9"))
    with pytest.raises(GalleryError, match="was made anew, after 1 were read: it is another"):
        caught_up(opened(file, "of-another-one 1"))
