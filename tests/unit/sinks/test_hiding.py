"""Faces that are nobody's are hidden, also in frames between two in which they were found."""

from typing import Any

import pytest

from sightflow.sinks.hiding import Hiding

FRAME_MS = 100


def a_face(x: float, person_id: str | None = None, track_id: int | None = 1) -> dict[str, Any]:
    face = {"box_xyxy": [x, 0, x + 10, 10], "person_id": person_id}
    return face if track_id is None else face | {"track_id": track_id}


def hidden(*frames: list[dict[str, Any]], frame_ms: int = FRAME_MS) -> list[list[float]]:
    """Return the left sides of what is hidden in each frame; every other frame has a row."""
    rows = [
        {"sequence": 2 * n, "event_time_ms": 5_000 + frame_ms * n, "faces": faces}
        for n, faces in enumerate(frames)
    ]
    hiding = Hiding(rows)
    return [hiding.boxes_xyxy(row)[:, 0].tolist() for row in rows]


def test_faces_of_nobody_are_hidden_and_those_of_others_are_not():
    assert hidden([a_face(5), a_face(50, "ada", 2)], []) == [[5], []]


def test_a_face_that_was_missed_is_hidden_on_the_way():
    assert hidden([a_face(0)], [], [], [a_face(30)]) == [[0], [10], [20], [30]]


@pytest.mark.parametrize("names", [("ada", None), (None, "ada")])
def test_who_is_known_at_one_end_only_is_hidden_on_the_way(names):
    first, last = names
    shown = hidden([a_face(0, first)], [], [a_face(20, last)])
    assert shown[1] == [10]


def test_who_is_known_at_both_ends_is_not_hidden():
    assert hidden([a_face(0, "ada")], [], [a_face(20, "ada")]) == [[], [], []]


def test_each_face_has_a_way_of_its_own():
    shown = hidden([a_face(0), a_face(100, track_id=2)], [a_face(110, track_id=2)], [a_face(20)])
    assert shown == [[0, 100], [110, 10], [20]]


@pytest.mark.parametrize(("frame_ms", "n_hidden"), [(1_000, 1), (1_001, 0)])
def test_who_was_away_for_longer_was_not_there(frame_ms, n_hidden):
    shown = hidden([a_face(0)], [], [a_face(20)], frame_ms=frame_ms)
    assert len(shown[1]) == n_hidden


def test_faces_that_nobody_follows_are_hidden_where_they_were_found_only():
    assert hidden([a_face(0, track_id=None)], [], [a_face(20, track_id=None)]) == [[0], [], [20]]


def test_frames_of_one_time_hide_the_first_place():
    assert hidden([a_face(0)], [], [a_face(20)], frame_ms=0)[1] == [0]


def test_without_faces_there_is_nothing_to_hide():
    row = {"sequence": 0, "event_time_ms": 0, "faces": []}
    assert Hiding([row]).boxes_xyxy(row).shape == (0, 4)
