"""Files wait in order, and where they stand is a position: nothing comes twice, nothing is lost."""

import time

from tests.folders import NOW_S, Folder, S, a_file

from sightflow.records import Claim, Rejected, Skipped
from sightflow.sources.backlog import Backlog
from sightflow.sources.filenames import FileNames
from sightflow.sources.inventory import Inventory, WatchPosition


class Watching:
    """A folder with what looks at it and what hands out, from a position."""

    def __init__(self, folder: Folder, position: str | None = None, **options) -> None:
        where = WatchPosition.decode(position) if position else WatchPosition()
        self.inventory = Inventory(folder, where, settle_s=0.0, grace_s=60.0, only_new=False)
        names = FileNames(
            folder,
            "in",
            "read",
            options.pop("time_pattern", None),
            by_folder=options.pop("by_folder", False),
        )
        self.backlog = Backlog(names, where, **{"skips": False, "max_age_ms": None} | options)

    def look(self) -> None:
        self.backlog.take(self.inventory.look())

    def next(self) -> str | tuple[str, int] | None:
        """Return the path of the next picture, or of the first that is skipped, and how many."""
        item = self.backlog.next(time.time() * 1000)
        if isinstance(item, Skipped):
            return item.origin.uri, item.n_images
        return item and item.origin.uri

    def rest(self) -> list[str | tuple[str, int]]:
        found = []
        while (item := self.next()) is not None:
            found.append(item)
        return found


def test_files_are_handed_out_in_the_order_in_which_they_came() -> None:
    watching = Watching(Folder([a_file("b", 1), a_file("c", 2), a_file("a", 3)]))
    watching.look()
    assert watching.rest() == ["b", "c", "a"]
    assert watching.next() is None


def test_one_that_turned_up_late_comes_before_those_that_wait() -> None:
    folder = Folder([a_file("a", 1), a_file("c", 3)])
    watching = Watching(folder)
    watching.look()
    assert watching.next() == "a"
    folder.there += [a_file("late", 2), a_file("d", 4)]
    watching.look()
    assert watching.rest() == ["late", "c", "d"]


def test_from_each_position_exactly_the_rest_comes() -> None:
    """Also of files that come late, with a folder, or in the second of others."""
    moved = {"moved_with": "day", "moved_ns": (NOW_S + 130) * S}
    first = [a_file(f"{i}", 20 * i) for i in range(6)] + [a_file("twin", 100)]
    later = [a_file("late", 95), a_file("same second", 100), a_file("new", 131)]
    later += [a_file("day/x", 3, **moved), a_file("day/y", 4, **moved)]
    folder = Folder(list(first))
    watching = Watching(folder)
    watching.look()
    handed, positions = [], []
    for n_handed in range(12):
        if n_handed == 4:
            folder.there, folder.folders = first + later, frozenset({"day"})
            watching.look()
        handed.append(watching.next())
        positions.append(watching.backlog.position())
    assert sorted(handed) == sorted(seen.path for seen in first + later)

    for n_handed, position in enumerate(positions, 1):
        again = Watching(folder, position)
        again.look()
        assert sorted(again.rest()) == sorted(handed[n_handed:])


def test_the_position_is_small_once_time_has_passed() -> None:
    folder = Folder([a_file(f"{i}", i / 10) for i in range(1000)])
    watching = Watching(folder)
    watching.look()
    watching.rest()
    assert len(watching.backlog.position()) > 600 * 12, "a minute of files is remembered"
    folder.there += [a_file("last", 300)]
    watching.look()
    assert watching.rest() == ["last"]
    assert len(watching.backlog.position()) < 200


def test_a_position_does_not_pass_what_waits() -> None:
    watching = Watching(Folder([a_file("a", 0), a_file("b", 500)]))
    watching.look()
    before = WatchPosition.decode(watching.backlog.position())
    assert before.floor_s == 0, "the look itself proves nothing: nothing was handed out"
    watching.next()
    assert WatchPosition.decode(watching.backlog.position()).floor_s == NOW_S + 440


def test_a_large_listing_is_taken_in_piece_by_piece() -> None:
    folder = Folder([a_file(f"{i}", i) for i in range(2500)])
    watching = Watching(folder)
    watching.look()
    assert len(watching.backlog) == 2500
    assert watching.next() == "0"
    assert len(watching.backlog) == 2499
    again = Watching(folder, watching.backlog.position())
    again.look()
    assert len(again.rest()) == 2499


def test_content_that_was_replaced_before_its_turn_is_counted_as_skipped() -> None:
    folder = Folder([a_file("latest", 0)])
    watching = Watching(folder)
    watching.look()
    folder.there = [a_file("latest", 1)]
    watching.look()
    assert watching.rest() == [("latest", 1), "latest"]


def test_who_skips_leaves_out_what_a_later_look_has_overtaken() -> None:
    folder = Folder([a_file(f"{i}", i) for i in range(4)])
    watching = Watching(folder, skips=True)
    watching.look()
    assert watching.next() == "0", "not everything is left out that came at once"
    folder.there += [a_file("4", 4), a_file("5", 5)]
    watching.look()
    assert watching.rest() == [("1", 3), "4", "5"]


def test_streams_overtake_only_themselves() -> None:
    folder = Folder([a_file("door/0", 0), a_file("gate/0", 1), a_file("door/1", 2)])
    watching = Watching(folder, skips=True, by_folder=True)
    watching.look()
    folder.there += [a_file("door/2", 3)]
    watching.look()
    assert watching.rest() == [("door/0", 1), "gate/0", ("door/1", 1), "door/2"]


def test_what_is_too_old_is_skipped_and_never_comes_again() -> None:
    age_ms = (time.time() - NOW_S) * 1000
    folder = Folder([a_file("0", 0), a_file("1", 1), a_file("2", 60)])
    watching = Watching(folder, skips=True, max_age_ms=age_ms - 30_000)
    watching.look()
    assert watching.next() == ("0", 2)
    again = Watching(folder, watching.backlog.position())
    again.look()
    assert again.rest() == ["2"]


def test_numbers_count_up_in_each_stream_over_what_is_skipped_and_a_restart() -> None:
    folder = Folder([a_file("a", 0), a_file("gate/a", 1), a_file("gate/b", 2)])
    watching = Watching(folder, by_folder=True)
    watching.look()
    found = [watching.backlog.next(0) for _ in range(2)]
    again = Watching(folder, watching.backlog.position(), by_folder=True)
    again.look()
    found.append(again.backlog.next(0))
    origins = [item.origin for item in found if isinstance(item, Claim)]
    assert [(o.source_id, o.sequence, o.name) for o in origins] == [
        ("in", 0, "a-000000"),
        ("in/gate", 0, "gate/a-000000"),
        ("in/gate", 1, "gate/b-000001"),
    ]


def test_a_name_without_the_time_that_it_should_tell_is_rejected() -> None:
    pattern = r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)-(?P<hour>\d\d)"
    there = [a_file("20261126-10.jpg", 0), a_file("20260230-10.jpg", 1), a_file("notes.jpg", 2)]
    watching = Watching(Folder(there), time_pattern=pattern)
    watching.look()
    good, february, notes = (watching.backlog.next(0) for _ in range(3))
    assert isinstance(good, Claim)
    assert good.origin.event_time_ms == 1_795_687_200_000  # 2026-11-26T10:00:00Z
    assert isinstance(february, Rejected)
    assert isinstance(notes, Rejected)
    assert (notes.reason, notes.message) == (
        "no_time",
        "`time_pattern` is not found in 'notes.jpg'",
    )
    assert notes.origin.event_time_ms == (NOW_S + 2) * 1000
