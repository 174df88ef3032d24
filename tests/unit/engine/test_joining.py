"""Labels that come later find their images, and what finds nothing is counted."""

from dataclasses import replace

import numpy as np
import pytest

from sightflow.engine.joining import Joining
from sightflow.errors import JobError
from sightflow.records import ImageRecord, Label, Rejected
from sightflow.testing import a_context, a_record, an_origin


def image(sequence: int, source_id: str = "door") -> ImageRecord:
    origin = an_origin(source_id=source_id, sequence=sequence, awaits_label=True)
    return a_record(origin=origin, features=np.full(2, sequence, np.float32))


def label(sequence: int, word: str | None = "cat", source_id: str = "door") -> Label:
    return Label(source_id, sequence, word)


def a_joining(max_waiting: int | None = None) -> Joining:
    return Joining(max_waiting, ("features",), a_context().metrics)


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
    joining = a_joining(max_waiting=2)
    list(joining.wait([image(1), image(2), image(3)], 0))
    list(joining.join([label(5), label(6), label(1)]))
    assert figures(joining) == {"n_let_go": 1, "n_waiting": 2, "n_unmatched": 3}


def test_the_state_of_what_waits_is_bounded() -> None:
    joining, sizes = a_joining(max_waiting=3), []
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
    with pytest.raises(JobError, match="labels must be of version 1; got 9; start the run anew"):
        a_joining().restore(data[:1] + b"\x09" + data[2:])


def test_a_second_label_of_an_image_is_unmatched() -> None:
    joining = a_joining()
    list(joining.wait([image(1)], 0))
    list(joining.join([label(1)]))
    list(joining.join([replace(label(1), label="dog")]))
    assert figures(joining) == {"n_joined": 1, "n_unmatched": 1}
