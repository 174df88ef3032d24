"""Which of two networks did better, image by image."""

import pytest

from sightflow.learn import contest as module
from sightflow.learn.contest import Contest, Verdict

BOTH, OURS, THEIRS, NONE = (True, True), (True, False), (False, True), (False, False)


def test_of_the_stream_the_last_images_count() -> None:
    contest = Contest(window=3)
    contest.add([BOTH, BOTH], held_out=False)
    contest.add([OURS, OURS], held_out=False)
    assert contest.verdict() == Verdict(3, 1.0, pytest.approx(1 / 3), is_test=False)


def test_a_test_counts_instead_while_it_goes_on() -> None:
    contest = Contest(window=10)
    contest.add([BOTH] * 4, held_out=False)
    contest.add([THEIRS, NONE], held_out=True)
    contest.add([THEIRS, BOTH], held_out=True)
    assert contest.verdict() == Verdict(4, 0.25, 0.75, is_test=True)


def test_a_test_counts_as_a_whole_up_to_a_bound(monkeypatch) -> None:
    monkeypatch.setattr(module, "_MAX_TEST", 3)
    contest = Contest(window=1)
    contest.add([THEIRS, BOTH, BOTH, NONE], held_out=True)
    assert contest.verdict() == Verdict(3, pytest.approx(2 / 3), pytest.approx(2 / 3), True)


def test_a_test_is_over_when_images_of_the_stream_come_and_the_next_begins_anew() -> None:
    contest = Contest(window=10)
    contest.add([THEIRS] * 4, held_out=True)
    contest.add([OURS], held_out=False)
    assert contest.verdict() == Verdict(1, 1.0, 0.0, is_test=False)
    contest.add([BOTH], held_out=True)
    assert contest.verdict() == Verdict(1, 1.0, 1.0, is_test=True)


def test_of_images_that_only_one_has_seen_there_is_no_comparison() -> None:
    contest = Contest(window=10)
    contest.add([(True, None), (False, None)], held_out=False)
    assert contest.verdict() == Verdict(2, 0.5, None, is_test=False)
    contest.add([OURS], held_out=False)
    assert contest.verdict() == Verdict(1, 1.0, 0.0, is_test=False), "only that one was compared"


def test_what_the_serving_one_said_is_forgotten_when_another_serves() -> None:
    contest = Contest(window=10)
    contest.add([OURS, THEIRS], held_out=False)
    contest.add([OURS, OURS, THEIRS, NONE], held_out=True)
    contest.forget_serving()
    assert contest.verdict() == Verdict(4, 0.5, None, is_test=True)
    contest.add([OURS], held_out=False)
    assert contest.state() == (
        [(True, None), (False, None), (True, False)],
        [(True, None), (True, None), (False, None), (False, None)],
        True,
    )


def test_without_images_there_is_no_accuracy() -> None:
    contest = Contest(window=1)
    assert contest.verdict() == Verdict(0, None, None, is_test=False)
    assert contest.state() == ([], [], False)


@pytest.mark.parametrize("is_over", [True, False])
def test_a_contest_goes_on_from_its_state(is_over: bool) -> None:
    contest, again = Contest(window=10), Contest(window=10)
    contest.add([OURS, THEIRS], held_out=False)
    contest.add([BOTH], held_out=True)
    if is_over:
        contest.add([NONE], held_out=False)
    again.restore(*contest.state())
    assert again.state() == contest.state()
    for one in (contest, again):
        one.add([THEIRS], held_out=True)
    assert again.verdict() == contest.verdict()


def test_verdicts_together_are_weighed_by_their_images() -> None:
    tests = Verdict(10, 0.5, 0.4, is_test=True), Verdict(30, 0.9, 0.8, is_test=True)
    assert Verdict.together(tests) == Verdict(40, pytest.approx(0.8), pytest.approx(0.7), True)
    assert Verdict.together(tests[:1]) == tests[0]


def test_a_verdict_of_which_a_part_is_unknown_is_unknown() -> None:
    compared, alone = Verdict(10, 0.5, 0.4, is_test=True), Verdict(10, 0.7, None)
    assert Verdict.together([compared, alone]) == Verdict(20, pytest.approx(0.6), None, False)
    nothing = Verdict(0, None, None)
    assert Verdict.together([nothing, nothing]) == nothing


def test_the_figures_say_whether_they_are_of_a_test() -> None:
    assert Verdict(4, 0.5, 0.25, is_test=True).figures() == {
        "n_images": 4,
        "accuracy": 0.5,
        "serving_accuracy": 0.25,
    }
    assert Verdict(4, 0.5, 0.25).figures() == {
        "n_images": 4,
        "stream_accuracy": 0.5,
        "serving_stream_accuracy": 0.25,
    }
    assert Verdict(4, 0.5, None, is_test=True).figures() == {"n_images": 4, "accuracy": 0.5}
