"""The mailbox holds the newest picture and loses count of none."""

import threading

import pytest

from sightflow.records import Skipped
from sightflow.sources.mailbox import Arrived, Mailbox
from sightflow.testing import an_origin


def put(mailbox: Mailbox, *numbers: int) -> None:
    for number in numbers:
        mailbox.put(Arrived(an_origin(sequence=number), b""))


def leave_out(mailbox: Mailbox, *numbers: int) -> None:
    for number in numbers:
        mailbox.leave_out(an_origin(sequence=number))


def taken(mailbox: Mailbox) -> list[int | tuple[int, int]]:
    """Return what can be taken now: a picture's number, or (first, how many) of those skipped."""
    found: list[int | tuple[int, int]] = []
    while (item := mailbox.take(0.0)) is not None:
        number = item.origin.sequence
        found.append((number, item.n_images) if isinstance(item, Skipped) else number)
    return found


def test_a_picture_is_taken_once() -> None:
    mailbox = Mailbox()
    put(mailbox, 0)
    assert taken(mailbox) == [0]
    assert taken(mailbox) == []


def test_the_newest_is_taken_behind_the_count_of_those_before_it() -> None:
    mailbox = Mailbox()
    put(mailbox, 0, 1, 2)
    assert taken(mailbox) == [(0, 2), 2]


def test_what_was_left_out_on_purpose_waits_for_the_next_picture() -> None:
    mailbox = Mailbox()
    put(mailbox, 0)
    leave_out(mailbox, 1, 2)
    assert taken(mailbox) == [0]
    put(mailbox, 3)
    assert taken(mailbox) == [(1, 2), 3]


def test_pictures_left_out_for_either_reason_are_counted_in_order() -> None:
    mailbox = Mailbox()
    leave_out(mailbox, 0)
    put(mailbox, 1)
    leave_out(mailbox, 2)
    put(mailbox, 3)
    leave_out(mailbox, 4)
    mailbox.close()
    assert taken(mailbox) == [(0, 3), 3, (4, 1)]


def test_a_closed_mailbox_gives_what_waits_and_takes_nothing() -> None:
    mailbox = Mailbox()
    put(mailbox, 0)
    mailbox.close()
    put(mailbox, 1)
    leave_out(mailbox, 2)
    assert not mailbox.is_empty()
    assert taken(mailbox) == [0]
    assert mailbox.is_empty()


def test_a_failure_is_raised_behind_what_waits() -> None:
    mailbox = Mailbox()
    put(mailbox, 0)
    mailbox.fail(OSError("the cable is cut"))
    assert isinstance(mailbox.take(0.0), Arrived)
    assert not mailbox.is_empty()
    with pytest.raises(OSError, match="the cable is cut"):
        mailbox.take(0.0)


def test_who_waits_is_woken_by_a_picture_and_by_the_end() -> None:
    mailbox = Mailbox()
    timer = threading.Timer(0.05, put, (mailbox, 0))
    timer.start()
    assert isinstance(mailbox.take(5.0), Arrived)
    timer.join()
    timer = threading.Timer(0.05, mailbox.close)
    timer.start()
    assert mailbox.take(5.0) is None
    timer.join()
