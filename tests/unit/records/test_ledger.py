"""The ledger proves that no image is lost."""

import pytest

from sightflow.errors import LedgerError
from sightflow.records.ledger import Ledger, Summary


def a_summary(ledger: Ledger, *, seconds: float = 8.0, first: float | None = 0.12345) -> Summary:
    return Summary(
        ledger,
        seconds=seconds,
        first_result_s=first,
        last_result_s=first,
        runner="inline",
        workers=2,
    )


def test_entries_add_up_and_leave_the_old_ledger() -> None:
    empty = Ledger()
    ledger = empty.add(read=3, recognised=2, rejected=1).add(read=1, recognised=1, rejected=0)
    assert ledger == Ledger(read=4, recognised=3, rejected=1)
    assert empty == Ledger()


def test_what_is_not_told_of_an_entry_is_none() -> None:
    assert Ledger(skipped=1).add(read=1) == Ledger(read=1, skipped=1)
    assert Ledger(skipped=1).add(read=1, skipped=1) == Ledger(read=1, skipped=2)


@pytest.mark.parametrize(
    ("ledger", "n_claimed"),
    [(Ledger(), 0), (Ledger(3, 2, 1), 3), (Ledger(6, 1, 2, 3), 6)],
)
def test_a_ledger_that_adds_up_is_accepted(ledger: Ledger, n_claimed: int) -> None:
    ledger.check(n_claimed)


@pytest.mark.parametrize(
    ("ledger", "n_claimed", "message"),
    [
        (Ledger(3, 2, 0), 3, r"read 3 = recognised 2 \+ rejected 0 \+ skipped 0 must hold"),
        (Ledger(3, 2, 2), 3, r"read 3 = recognised 2 \+ rejected 2"),
        (Ledger(3, 2, 1), 4, "the source lists 4 images; 3 were read"),
        (Ledger(3, 2, 1), 2, "the source lists 2 images; 3 were read"),
    ],
)
def test_a_ledger_that_does_not_add_up_is_an_error(
    ledger: Ledger, n_claimed: int, message: str
) -> None:
    with pytest.raises(LedgerError, match=message):
        ledger.check(n_claimed)


def test_a_summary_has_exactly_these_fields_in_this_order() -> None:
    assert list(a_summary(Ledger(4, 3, 1)).as_dict().items()) == [
        ("read", 4),
        ("recognised", 3),
        ("rejected", 1),
        ("skipped", 0),
        ("seconds", 8.0),
        ("images_per_s", 0.5),
        ("first_result_s", 0.123),
        ("last_result_s", 0.123),
        ("runner", "inline"),
        ("workers", 2),
    ]


def test_times_have_three_digits_behind_the_point_and_rates_two() -> None:
    fields = a_summary(Ledger(7, 7), seconds=3.00049).as_dict()
    assert (fields["seconds"], fields["images_per_s"]) == (3.0, 2.33)
    assert a_summary(Ledger(), seconds=3.0006).as_dict()["seconds"] == 3.001


def test_a_run_without_results_or_time_has_a_summary_too() -> None:
    fields = a_summary(Ledger(), seconds=0.0, first=None).as_dict()
    assert (fields["images_per_s"], fields["first_result_s"]) == (0.0, None)
