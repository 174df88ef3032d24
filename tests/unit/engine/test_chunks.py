"""Chunks: claims travel as lines, outcomes travel back as rows, and nothing is lost on the way."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from sightflow.engine.chunks import (
    Chunk,
    ChunkResult,
    Frame,
    Recognised,
    StreamEnd,
    chunked,
)
from sightflow.records import (
    Claim,
    Classification,
    EncodedImage,
    Event,
    ImageRecord,
    Label,
    Outcome,
    Rejected,
    Skipped,
    SourceEnd,
)
from sightflow.testing import a_claim, a_record, an_origin


def segment(n_frames: int) -> Claim:
    frames = tuple((number, number * 512, number * 40) for number in range(n_frames))
    return Claim(an_origin(name="clip.mp4"), frames, source=(1, 0))


@pytest.mark.parametrize(
    ("n_claims", "n_images", "sizes"),
    [(0, 4, []), (1, 4, [1]), (4, 4, [4]), (5, 4, [4, 1]), (5, 1, [1, 1, 1, 1, 1])],
)
def test_claims_are_grouped_in_order(n_claims: int, n_images: int, sizes: list[int]) -> None:
    claims = [a_claim(sequence=i) for i in range(n_claims)]
    chunks = list(chunked(claims, n_images))
    assert [chunk.n_images for chunk in chunks] == sizes
    assert [claim for chunk in chunks for claim in chunk.claims] == claims


def test_chunks_grow_to_four_batches_and_stay_small_beside_what_came_before() -> None:
    claims = (a_claim(sequence=i) for i in range(2_000))
    sizes = [chunk.n_images for chunk in chunked(claims, 4)]
    assert sizes[0] == 4
    assert set(sizes[:-1]) == {4, 8, 12, 16}
    assert sizes[:-1] == sorted(sizes[:-1])
    for i, size in enumerate(sizes):
        assert size == 4 or 16 * size <= sum(sizes[:i])


def test_a_segment_counts_as_its_frames_and_is_not_cut() -> None:
    claims = [a_claim(), segment(7), a_claim(), segment(1)]
    chunks = [chunk.claims for chunk in chunked(claims, 4)]
    assert chunks == [(claims[0], claims[1]), (claims[2], claims[3])]


def test_chunks_are_made_as_claims_come() -> None:
    endless = (a_claim(sequence=i) for i in iter(int, 1))
    assert next(chunked(endless, 3)).n_images == 3


def test_for_keyed_steps_a_chunk_has_images_of_one_stream() -> None:
    claims = [a_claim(source_id=s, sequence=i) for i, s in enumerate("aaabbac")]
    chunks = list(chunked(claims, 2, by_source=True))
    shown = [(c.source_id, c.index, [x.origin.sequence for x in c.claims]) for c in chunks]
    assert shown == [
        ("a", 0, [0, 1]),
        ("a", 1, [2]),
        ("b", 0, [3, 4]),
        ("a", 2, [5]),
        ("c", 0, [6]),
    ]


ODD = ["a\nb.jpg", "naïve-图.jpg", 'quote".jpg', "100%#.jpg", "\x00\x7f"]
ODD += [pytest.param(os.fsdecode(b"\xff.jpg"), id="not UTF-8")]  # type: ignore[list-item]


def test_labels_are_taken_before_the_test_behind_them_begins() -> None:
    late, test = a_claim(), a_claim()
    late = replace(late, labels=(Label("photos", 0, "cat"),))
    test = replace(test, origin=replace(test.origin, held_out=True))
    plain = [a_claim(), test, test]
    assert [chunk.n_images for chunk in chunked(plain, 8)] == [3]
    assert [chunk.n_images for chunk in chunked([a_claim(), late, test, test], 8)] == [2, 2]


@pytest.mark.parametrize("name", ODD)
def test_claims_with_odd_names_survive_as_one_line(name: str) -> None:
    chunk = Chunk((a_claim(uri=name, name=name),), name, 3)
    line = chunk.encode()
    assert b"\n" not in line
    assert Chunk.decode(line) == chunk


def test_segments_survive_as_one_line() -> None:
    chunk = Chunk((segment(3), a_claim()))
    assert Chunk.decode(chunk.encode()) == chunk


def result_of(number: int, outcomes: Iterable[Outcome]) -> ChunkResult:
    return ChunkResult.of(Recognised(number, outcomes))


def rejected(uri: str = "b.jpg") -> Rejected:
    return Rejected(an_origin(uri=uri), "decode", "empty", "no bytes")


def test_outcomes_are_counted_and_told_apart() -> None:
    result = result_of(5, [a_record(), rejected(), a_record()])
    assert (result.number, result.n_read) == (5, 3)
    assert [row["uri"] for row in result.rows] == ["photos/a.jpg"] * 2
    assert result.rejected == [
        {"uri": "b.jpg", "step": "decode", "reason": "empty", "message": "no bytes"}
    ]


def test_each_record_is_let_go_before_the_next_is_made() -> None:
    held: list[int] = []

    def outcomes() -> Iterator[ImageRecord]:
        for _ in range(3):
            record = a_record()
            yield record
            held.append(sys.getrefcount(record))

    result_of(0, outcomes())
    assert len(held) == 3
    assert held == [held[0]] * 3


def test_an_empty_chunk_has_a_result() -> None:
    result = ChunkResult.decode(result_of(0, []).encode())
    assert (result.n_read, list(result.rows), list(result.rejected)) == (0, [], [])


def test_a_result_survives_the_way_between_processes() -> None:
    outcomes = [a_record(), rejected("new\nline-图.jpg")]
    event = Event("crossed", "gate", "cam", 7, 280, track_id=3, zone="Tür", direction="in")
    result = ChunkResult.of(Recognised(2, outcomes, n_skipped=4), [event])
    assert ChunkResult.decode(result.encode()) == result
    assert (result.n_read, result.n_skipped) == (6, 4)
    assert result.events == [
        {
            "kind": "crossed",
            "step": "gate",
            "source_id": "cam",
            "sequence": 7,
            "event_time_ms": 280,
            "track_id": 3,
            "zone": "Tür",
            "direction": "in",
        }
    ]


@pytest.mark.parametrize("source_id", ["cam", "", os.fsdecode(b"\xff.mp4")])
def test_what_was_recognised_survives_the_way_to_the_keyed_steps(source_id: str) -> None:
    sent = Recognised(2**40, [rejected()], source_id, 5, n_skipped=2, has_ended=True)
    data = sent.encode()
    assert Recognised.decode(data) == sent
    assert Recognised.source_of(data) == source_id
    assert Recognised.decode(Recognised(3, n_images=0).encode()).n_images == 0


def test_scores_travel_with_the_digits_of_float32() -> None:
    scores = np.array([0.9, 0.1], np.float32)
    found = Classification(("cat", "dog"), np.array([3, 7], np.int32), scores)
    result = result_of(0, [a_record(classification=found)])
    (row,) = ChunkResult.decode(result.encode()).rows
    assert json.dumps(row["classification"]) == (
        '[{"label": "cat", "class_id": 3, "score": 0.9}, '
        '{"label": "dog", "class_id": 7, "score": 0.1}]'
    )


def test_a_file_name_that_is_not_utf_8_does_not_stop_a_chunk() -> None:
    name = os.fsdecode(b"\xff.jpg")
    result = result_of(0, [a_record(origin=an_origin(uri=name)), rejected(name)])
    assert ChunkResult.decode(result.encode()).n_read == 2


def test_the_first_claims_may_be_decoded_by_several_threads_at_once() -> None:
    script = f"""
import sys, threading
from sightflow.engine.chunks import Chunk
sys.setswitchinterval(1e-7)
barrier = threading.Barrier(8)
def decode():
    barrier.wait()
    Chunk.decode({Chunk((a_claim(),)).encode()!r})
threads = [threading.Thread(target=decode) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    for _ in range(8):  # where it goes wrong, every other process dies
        assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize(
    "content",
    [
        EncodedImage(an_origin(name="überall.jpg", sequence=3), b"\xff\xd8" + bytes(range(256))),
        EncodedImage(an_origin(), b""),
        EncodedImage(an_origin(metadata=(("site", "Straße"), ("gate", "3"))), b"x"),
        EncodedImage(an_origin(name=os.fsdecode(b"\xff.jpg")), b"x"),
        Rejected(an_origin(), "read", "unreadable", "the camera is gone"),
        Skipped(an_origin(), 12),
        a_claim(uri=os.fsdecode(b"in/\xff.jpg")),
        Claim(an_origin(), ((4, 400, 160), (5, 500, 200))),
        SourceEnd("camera 1"),
        StreamEnd(2**40),
    ],
)
def test_a_frame_is_the_same_after_its_way_to_a_worker(content) -> None:
    frame = Frame.decode(Frame(2**40, 7, 1_700_000_000.25, content).encode())

    assert (frame.number, frame.index, frame.read_at) == (2**40, 7, 1_700_000_000.25)
    if isinstance(content, EncodedImage):
        assert isinstance(frame.content, EncodedImage)
        assert (frame.content.origin, frame.content.data) == (content.origin, content.data)
    else:
        assert frame.content == content
