"""Counts over time stay few, whatever the time."""

import pytest

from sightflow.dashboard.report.timegrid import TimeGrid, time_text

DAY_MS = 86_400_000


def counted(times_ms: list[int]) -> tuple[TimeGrid, dict[int, int]]:
    grid = TimeGrid()
    counts = grid.counter()
    for time_ms in times_ms:
        place = grid.place(time_ms)
        counts[place] = counts.get(place, 0) + 1
    return grid, counts


def test_a_grid_without_a_time_has_no_bins() -> None:
    grid, _ = counted([])
    assert grid.is_empty
    assert list(grid.bins) == []


def test_bins_widen_with_the_time_that_they_cover_and_lose_no_count() -> None:
    # 1,000 images, one each 40 ms: 39.96 s. In bins of 200 ms there are 200, with 5 images each.
    grid, counts = counted([40 * i for i in range(1_000)])
    assert grid.width_ms == 200
    assert counts == dict.fromkeys(range(200), 5)


@pytest.mark.parametrize("n_days", [1, 400, 40_000_000])
def test_there_are_never_more_than_240_bins(n_days: int) -> None:
    grid, counts = counted([0, 7, n_days * DAY_MS])
    assert len(grid.bins) <= 240
    assert sum(counts.values()) == 3


def test_times_may_come_in_any_order_and_be_before_1970() -> None:
    grid, counts = counted([5_000, -5_000, 0])
    assert (grid.first_ms, grid.last_ms, grid.width_ms) == (-5_000, 5_000, 100)
    assert counts == {50: 1, -50: 1, 0: 1}


def test_counters_that_are_made_later_follow_too() -> None:
    grid, _ = counted([0, 100])
    late = grid.counter()
    late[grid.place(100)] = 2
    grid.place(10_000)
    assert (grid.width_ms, late) == (100, {1: 2})


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (0, "0:00.0"),
        (59_990, "0:59.9"),
        (3_723_400, "1:02:03.4"),
        (-1_500, "-0:01.5"),
        (1_795_714_643_649, "2026-11-26 17:37:23"),
        (253_402_300_800_000, "70389528:00:00.0"),  # after the year 9999
    ],
)
def test_a_time_is_told_for_people(time_ms: int, text: str) -> None:
    assert time_text(time_ms) == text
