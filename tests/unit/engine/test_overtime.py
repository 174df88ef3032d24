"""Counts over time stay few, whatever the times are."""

from sightflow.engine.overtime import OTHERS, OverTime


def test_labels_are_counted_in_intervals_of_a_second() -> None:
    counts = OverTime()
    for time_ms, label in [(5_000, "car"), (5_999, "bus"), (6_000, "car"), (8_100, "car")]:
        counts.add(time_ms, label)
    assert counts.as_dict(8) == {
        "bucket_ms": 1000,
        "starts_ms": [5_000, 6_000, 7_000, 8_000],
        "labels": [
            {"label": "car", "n": [1, 1, 0, 1], "total": 3},
            {"label": "bus", "n": [1, 0, 0, 0], "total": 1},
        ],
        "n_labels": 2,
    }


def test_intervals_become_wider_where_there_would_be_too_many() -> None:
    counts = OverTime(max_intervals=4)
    for second in range(9):  # eight intervals of two seconds would still be five
        counts.add(second * 1000, "car")
    told = counts.as_dict(1)
    assert told["bucket_ms"] == 4000
    assert told["starts_ms"] == [0, 4000, 8000]
    assert told["labels"] == [{"label": "car", "n": [4, 4, 1], "total": 9}]


def test_a_time_before_all_others_counts_too() -> None:
    counts = OverTime(max_intervals=2)
    counts.add(1_900_000_000_000, "car")
    counts.add(-1, "bus")
    told = counts.as_dict(8)
    assert len(told["starts_ms"]) == 2
    assert [sum(one["n"]) for one in told["labels"]] == [1, 1]


def test_only_the_most_frequent_labels_are_told_and_how_many_there_are() -> None:
    counts = OverTime()
    for label in ["a", "b", "b", "c", "c", "c"]:
        counts.add(0, label)
    told = counts.as_dict(2)
    assert [one["label"] for one in told["labels"]] == ["c", "b"]
    assert told["n_labels"] == 3


def test_labels_beyond_the_first_thousand_are_counted_as_others() -> None:
    counts = OverTime()
    for number in range(1_200):
        counts.add(0, f"person {number}")
    told = counts.as_dict(1)
    assert told["labels"] == [{"label": OTHERS, "n": [200], "total": 200}]
    assert told["n_labels"] == 1_001


def test_nothing_has_no_interval() -> None:
    assert OverTime().as_dict(8)["starts_ms"] == []
