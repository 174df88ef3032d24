"""What is new in a folder: by the times of its files, and by marks where times do not tell."""

import time

import pytest
from tests.folders import NOW_S, Folder, S, a_file

from sightflow.errors import JobError
from sightflow.sources.inventory import Inventory, Listing, WatchPosition
from sightflow.storage.watching import Seen


def an_inventory(folder: Folder, position: WatchPosition | None = None, **changes) -> Inventory:
    options = {"settle_s": 0.0, "grace_s": 60.0, "only_new": False} | changes
    return Inventory(folder, position or WatchPosition(), **options)


def paths(listing: Listing) -> list[str]:
    return [arrived.seen.path for arrived in listing.new]


def test_what_came_since_the_last_look_is_new() -> None:
    folder = Folder([a_file("a", 0)])
    inventory = an_inventory(folder)
    assert paths(inventory.look()) == ["a"]
    folder.there += [a_file("b", 1)]
    assert paths(inventory.look()) == ["b"]
    assert paths(inventory.look()) == []


def test_new_files_come_in_the_order_in_which_they_arrived() -> None:
    there = [a_file("c", 0), a_file("b", 2), a_file("a", 1), a_file("0", 1, modified_ns=5)]
    assert paths(an_inventory(Folder(there)).look()) == ["c", "0", "a", "b"]


def test_a_file_that_is_replaced_is_new_again() -> None:
    folder = Folder([a_file("latest", 0)])
    inventory = an_inventory(folder)
    inventory.look()
    folder.there = [a_file("latest", 1)]
    assert paths(inventory.look()) == ["latest"]
    folder.there = [a_file("latest", 1, tag=11)]
    assert paths(inventory.look()) == ["latest"], "its size is another one"


def test_a_file_whose_owner_changes_is_not_new() -> None:
    folder = Folder([a_file("a", 0)])
    inventory = an_inventory(folder)
    inventory.look()
    folder.there = [folder.there[0]._replace(arrived_ns=(NOW_S + 500) * S)]
    assert paths(inventory.look()) == []


def test_a_copy_that_keeps_its_old_time_is_new() -> None:
    folder = Folder([a_file("a", 0)])
    inventory = an_inventory(folder)
    inventory.look()
    folder.there += [a_file("copy", 1, modified_ns=12345)]
    assert paths(inventory.look()) == ["copy"]


def test_the_floor_follows_the_newest_file_at_a_distance() -> None:
    folder = Folder([a_file("a", 0), a_file("b", 100)])
    assert an_inventory(folder, grace_s=60.0).look().horizon_s == NOW_S + 40


def test_the_floor_is_never_ahead_of_this_machine() -> None:
    ahead = a_file("a", 0, arrived_ns=int((time.time() + 3600) * S))
    assert an_inventory(Folder([ahead]), grace_s=60.0).look().horizon_s <= time.time() - 60


def test_a_file_may_turn_up_late_within_the_grace() -> None:
    folder = Folder([a_file("b", 100)])
    inventory = an_inventory(folder)
    inventory.look()
    folder.there += [a_file("late", 45)]
    assert paths(inventory.look()) == ["late"]


def test_a_file_that_turns_up_later_is_not_read_and_is_counted_once() -> None:
    folder = Folder([a_file("b", 100)])
    inventory = an_inventory(folder)
    inventory.look()
    folder.there += [a_file("overdue", 20)]
    assert paths(inventory.look()) == []
    assert inventory.n_overdue == 1
    inventory.look()
    assert inventory.n_overdue == 0


def test_files_that_vanish_and_come_back_are_not_new() -> None:
    there = [a_file("old", 0), a_file("recent", 100)]
    folder = Folder(list(there))
    inventory = an_inventory(folder)
    inventory.look()
    folder.there = []  # the storage is not mounted
    inventory.look()
    folder.there = there
    assert paths(inventory.look()) == []


def test_only_new_ones_leaves_out_what_is_there_at_first() -> None:
    folder = Folder([a_file("old", 0), a_file("recent", 100)])
    inventory = an_inventory(folder, only_new=True)
    first = inventory.look()
    assert (paths(first), len(first.not_wanted)) == ([], 2)
    folder.there += [a_file("c", 101)]
    assert paths(inventory.look()) == ["c"]


def test_after_a_restart_all_before_the_floor_and_all_that_is_remembered_are_known() -> None:
    there = [a_file("old", 0), a_file("handed", 90), a_file("waiting", 90)]
    first = an_inventory(Folder(there)).look()
    marks = {one.seen.path: one.mark for one in first.new}
    position = WatchPosition(True, NOW_S + 40, {NOW_S + 90: marks["handed"]})
    assert paths(an_inventory(Folder(there), position, only_new=True).look()) == ["waiting"]


def test_a_file_is_complete_when_it_has_not_changed_for_a_while() -> None:
    now_ns = time.time_ns()
    growing = a_file("a", 0, arrived_ns=now_ns, modified_ns=now_ns, tag=1)
    folder = Folder([growing])
    inventory = an_inventory(folder, settle_s=0.2)
    first = inventory.look()
    assert (paths(first), first.n_incomplete) == ([], 1)
    time.sleep(0.15)
    folder.there = [growing._replace(modified_ns=now_ns + 1, tag=2)]
    assert paths(inventory.look()) == []
    time.sleep(0.1)
    assert paths(inventory.look()) == [], "it has changed since"
    time.sleep(0.15)
    assert paths(inventory.look()) == ["a"]


def test_an_object_is_complete_at_once() -> None:
    now_ns = time.time_ns()
    there = [a_file("a", 0, arrived_ns=now_ns, is_whole=True)]
    assert paths(an_inventory(Folder(there), settle_s=60.0).look()) == ["a"]


def test_the_floor_waits_for_what_is_incomplete() -> None:
    now_s = int(time.time())
    growing = Seen("a", now_s * S, now_s * S, 1, False)
    listing = an_inventory(Folder([growing]), settle_s=60.0, grace_s=0.0).look()
    assert listing.horizon_s == now_s


def test_a_folder_that_is_moved_in_brings_files_with_old_times() -> None:
    folder = Folder([a_file("b", 100)])
    inventory = an_inventory(folder)
    inventory.look()
    moved = {"moved_with": "day=1", "moved_ns": (NOW_S + 150) * S}
    folder.there += [a_file("day=1/x", 3, **moved), a_file("day=1/y", 149, **moved)]
    listing = inventory.look()
    assert paths(listing) == ["day=1/y", "day=1/x"]
    assert [arrived.moved_with for arrived in listing.new] == ["", "day=1"]
    assert [arrived.second - NOW_S for arrived in listing.new] == [149, 150]


def test_a_position_of_another_version_is_refused() -> None:
    text = WatchPosition().encode().replace('"version":1', '"version":0')
    with pytest.raises(JobError, match="place in a watched folder must be of version 1; got 0"):
        WatchPosition.decode(text)
