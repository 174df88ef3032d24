"""Rows of two results find each other by stream and number, in whatever order they are."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sightflow.replay.pairs import Reasons, pairs

Row = dict[str, Any]
Numbers = list[tuple[int | None, int | None]]


def rows(numbers: Iterable[int], source_id: str = "photos") -> Callable[[], Iterator[Row]]:
    return lambda: iter([{"source_id": source_id, "sequence": number} for number in numbers])


def paired(a: Iterable[int], b: Iterable[int]) -> Numbers:
    found = pairs(rows(a), rows(b))
    return [tuple(row and row["sequence"] for row in pair) for pair in found]  # type: ignore[misc]


def test_rows_of_the_same_image_are_a_pair_in_the_order_of_the_first() -> None:
    assert paired([0, 1, 2], [0, 1, 2]) == [(0, 0), (1, 1), (2, 2)]


def test_what_one_of_them_lacks_stands_alone_at_its_place() -> None:
    assert paired([0, 1, 2, 3], [1, 3]) == [(0, None), (1, 1), (2, None), (3, 3)]
    assert paired([1, 3], [0, 1, 2, 3, 4]) == [
        (None, 0),
        (1, 1),
        (None, 2),
        (3, 3),
        (None, 4),
    ]


@pytest.mark.parametrize(("a", "b"), [([], []), ([0], []), ([], [0])])
def test_either_may_be_empty(a: list[int], b: list[int]) -> None:
    assert paired(a, b) == [(0, None)] * len(a) + [(None, 0)] * len(b)


def test_another_order_is_no_hindrance() -> None:
    assert paired([0, 1, 2], [2, 7, 0, 1]) == [(None, 7), (0, 0), (1, 1), (2, 2)]


def test_a_number_of_another_stream_is_another_image() -> None:
    found = list(pairs(rows([0], "gate"), rows([0], "door")))
    assert [tuple(row and row["source_id"] for row in pair) for pair in found] == [
        ("gate", None),
        (None, "door"),
    ]


def test_where_the_order_is_the_same_no_row_is_kept() -> None:
    alive: list[int] = []

    def counted(numbers: Iterable[int]) -> Iterator[Row]:
        for number in numbers:
            alive.append(number)
            yield {"source_id": "photos", "sequence": number}

    n_read = 0
    for _ in pairs(rows(range(1000)), lambda: counted(range(1000))):
        n_read += 1
        assert len(alive) - 1000 <= n_read  # behind the first reading, no row is read ahead
    assert n_read == 1000


def rejected(folder: Path, *lines: tuple[str, str]) -> str:
    rows = ({"uri": uri, "step": "read", "reason": why, "message": "m"} for uri, why in lines)
    (folder / "r.rejected.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "r.jsonl").write_text("")
    return str(folder / "r.jsonl")


def test_reasons_are_found_by_file_each_once(tmp_path: Path) -> None:
    path = rejected(tmp_path, ("a.jpg", "empty"), ("b.mp4", "corrupt"), ("b.mp4", "late"))
    reasons = Reasons(path)
    assert reasons.of("b.mp4") == {"step": "read", "reason": "corrupt", "message": "m"}
    assert (reasons.of("b.mp4") or {})["reason"] == "late"
    assert reasons.of("b.mp4") is None
    assert (reasons.of("a.jpg") or {})["reason"] == "empty"
    assert reasons.of("nowhere.jpg") is None
