"""Labels that come later find their images, and what finds nothing is counted."""

from dataclasses import replace

import numpy as np
import pytest

from sightflow.engine.joining import Joining, Limits
from sightflow.errors import JobError
from sightflow.records import ImageRecord, Label, Rejected
from sightflow.testing import a_context, a_record, an_origin


def image(sequence: int, source_id: str = "door") -> ImageRecord:
    origin = an_origin(source_id=source_id, sequence=sequence, awaits_label=True)
    return a_record(origin=origin, features=np.full(2, sequence, np.float32))


def label(sequence: int, word: str | None = "cat", source_id: str = "door") -> Label:
    return Label(source_id, sequence, word)


def a_joining(n_items: int = 100, n_bytes: int = 1 << 20) -> Joining:
    return Joining(Limits(n_items, n_bytes), ("features",), a_context().metrics)


def figures(joining: Joining) -> dict[str, float]:
    (event,) = joining.end()
    assert (event.kind, event.step) == ("joined", "labels")
    return {name: n for name, n in event.figures.items() if n}


def test_an_image_gets_its_label_and_keeps_its_place() -> None:
    joining = a_joining()
    assert list(joining.wait([image(3), image(4)], 7)) == []
    ((record, place),) = joining.join([label(4)])
    assert (record.origin.sequence, record.origin.label, place) == (4, "cat", (7, 1))
    assert not record.origin.awaits_label
    assert figures(joining) == {"n_joined": 1, "n_waiting": 1}


def test_a_label_that_comes_first_waits_for_its_image() -> None:
    joining = a_joining()
    assert list(joining.join([label(3)])) == []
    ((record, _),) = joining.wait([image(3)], 0)
    assert record.origin.label == "cat"
    assert figures(joining) == {"n_joined": 1}


def test_images_of_two_streams_may_have_the_same_number() -> None:
    joining = a_joining()
    list(joining.wait([image(1, "door"), image(1, "yard")], 0))
    ((record, _),) = joining.join([label(1, source_id="yard")])
    assert record.origin.source_id == "yard"


def test_what_awaits_no_label_or_was_rejected_does_not_wait() -> None:
    joining = a_joining()
    known = a_record(origin=an_origin(label="cat"))
    list(joining.wait([known, Rejected(image(1).origin, "s", "r", "")], 0))
    assert joining.end() == []


def test_an_image_of_which_nobody_will_tell_is_let_go() -> None:
    joining = a_joining()
    list(joining.wait([image(1)], 0))
    assert list(joining.join([label(1, None)])) == []
    assert figures(joining) == {"n_without_label": 1}


def test_of_too_many_that_wait_the_first_are_let_go_and_counted() -> None:
    joining = a_joining(n_items=2)
    list(joining.wait([image(1), image(2), image(3)], 0))
    list(joining.join([label(5), label(6), label(1)]))
    assert figures(joining) == {"n_let_go": 1, "n_waiting": 2, "n_unmatched": 3}


def test_the_state_of_what_waits_is_bounded() -> None:
    joining, sizes = a_joining(n_items=3), []
    for i in range(100):
        list(joining.wait([image(i)], 0))
        sizes.append(len(joining.encode()))
    assert max(sizes[3:]) <= sizes[3] + 8


def test_it_goes_on_where_it_stood() -> None:
    joining, again = a_joining(), a_joining()
    name = "no utf-8 \udcff"
    list(joining.wait([image(1), image(2, name)], 0))
    list(joining.join([label(1), label(9, "caf\xe9")]))
    again.restore(joining.encode())
    ((record, place),) = again.join([label(2, source_id=name)])
    assert (record.features.tolist(), place) == ([2, 2], (0, 1))
    ((record, _),) = again.wait([image(9)], 1)
    assert record.origin.label == "caf\xe9"
    assert figures(again) == {"n_joined": 3}


def test_a_checkpoint_of_another_version_is_refused() -> None:
    data = a_joining().encode()
    with pytest.raises(JobError, match="labels must be of version 3; got 9; start the run anew"):
        a_joining().restore(data[:1] + b"\x09" + data[2:])


def test_a_label_of_an_earlier_run_does_not_hold_back_the_right_one() -> None:
    joining = a_joining()
    list(joining.join([replace(label(0, "old"), event_time_ms=100)]))
    list(joining.join([replace(label(0, "new"), event_time_ms=200)]))
    late = replace(image(0), origin=replace(image(0).origin, event_time_ms=200))
    ((record, _),) = joining.wait([late], 0)
    assert record.origin.label == "new"
    assert figures(joining) == {"n_joined": 1, "n_unmatched": 1}


def test_a_second_label_of_an_image_is_unmatched() -> None:
    joining = a_joining()
    list(joining.wait([image(1)], 0))
    list(joining.join([label(1)]))
    list(joining.join([replace(label(1), label="dog")]))
    assert figures(joining) == {"n_joined": 1, "n_unmatched": 1}


def test_arrays_of_images_that_wait_have_a_limit_of_bytes() -> None:
    joining = a_joining(n_bytes=20)  # an image has 8 bytes
    list(joining.wait([image(1), image(2), image(3)], 0))
    assert figures(joining) == {"n_let_go": 1, "n_waiting": 2}
    list(joining.join([label(2), label(3)]))
    list(joining.wait([image(4), image(5)], 0))
    assert figures(joining) == {"n_let_go": 1, "n_waiting": 2, "n_joined": 2}


def test_of_two_images_with_one_number_the_second_counts() -> None:
    joining = a_joining()
    list(joining.wait([image(1)], 0))
    list(joining.wait([image(1)], 1))
    ((_, place),) = joining.join([label(1)])
    assert place == (1, 0)
    assert figures(joining) == {"n_joined": 1, "n_let_go": 1}


def test_a_label_with_the_time_of_another_image_is_unmatched() -> None:
    joining = a_joining()
    list(joining.wait([image(1)], 0))  # at 0 ms
    assert list(joining.join([replace(label(1), event_time_ms=5)])) == []
    ((record, _),) = joining.join([replace(label(1), event_time_ms=0)])
    assert record.origin.label == "cat"
    assert figures(joining) == {"n_joined": 1, "n_unmatched": 1}


def test_what_waits_has_no_pixels_and_only_the_arrays_that_are_learned_from() -> None:
    joining = a_joining()
    large = a_record(np.zeros((500, 500, 3), np.uint8), origin=image(1).origin)
    large = replace(large, features=np.ones(2, np.float32), prepared=np.zeros((8, 8, 3), np.uint8))
    list(joining.wait([large], 0))
    ((record, _),) = joining.join([label(1)])
    assert (record.pixels.size, record.prepared, record.features.tolist()) == (0, None, [1, 1])
    assert (record.width, record.height) == (500, 500)


def test_labels_of_listed_images_do_not_wait_for_what_was_rejected() -> None:
    joining = Joining(None, (), a_context().metrics)
    size = len(joining.encode())
    list(joining.join([label(i) for i in range(100)]))
    assert len(joining.encode()) <= size + 1
    assert figures(joining) == {"n_unmatched": 100}


def test_large_arrays_that_can_be_read_again_are_not_in_checkpoints() -> None:
    large = replace(image(1), features=np.arange(50_000, dtype=np.float32))
    asked = []

    def recall(places):
        asked.extend(places)
        return [large for _ in places]

    def opened() -> Joining:
        return Joining(None, ("features",), a_context().metrics, recall)

    joining, again = opened(), opened()
    list(joining.wait([image(0), large], 7))
    assert len(joining.encode()) < 2_000
    again.restore(joining.encode())
    assert asked == [(7, 1)]
    ((record, _),) = again.join([label(1)])
    assert np.array_equal(record.features, large.features)
    ((record, _),) = again.join([label(0)])
    assert record.features.tolist() == [0, 0]


def test_what_cannot_be_read_again_is_an_error() -> None:
    large = replace(image(1), features=np.zeros(50_000, np.float32))
    joining = Joining(None, ("features",), a_context().metrics, lambda places: [large])
    list(joining.wait([large], 0))
    with pytest.raises(JobError, match="can be read again, which this one cannot; go on with"):
        Joining(None, ("features",), a_context().metrics).restore(joining.encode())
    gone = Rejected(large.origin, "read", "unreadable", "")
    other = Joining(None, ("features",), a_context().metrics, lambda places: [gone])
    with pytest.raises(JobError, match="that waits for its label cannot be read again"):
        other.restore(joining.encode())
