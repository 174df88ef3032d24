"""Figures of classifications: worked out by hand, the same in any order, exact in a window."""

import pickle
from itertools import pairwise
from math import log

import numpy as np
import pytest

from sightflow.errors import MetricsError
from sightflow.metrics.classification import (
    ClassificationMetrics,
    ClassificationScores,
    Tally,
    Window,
)
from sightflow.metrics.verdicts import judge

LABELS = ("cat", "dog", "mouse")


def floats(rows: list[list[float]]) -> np.ndarray:
    return np.array(rows, np.float32)


def ranked(probabilities: list[list[float]]) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and class ids, best first, of the probabilities of all classes."""
    class_ids = np.argsort(-floats(probabilities), axis=1, kind="stable")
    return np.take_along_axis(floats(probabilities), class_ids, axis=1), class_ids


def scores_of(
    truths: list[int], probabilities: list[list[float]], *, top_k: int = 5
) -> ClassificationScores:
    scored = ClassificationMetrics(LABELS, top_k=top_k)
    scored.update(judge(np.array(truths), *ranked(probabilities), n_classes=3))
    return scored.compute()


def plain(scores: ClassificationScores) -> list:
    return [scores.tally.figures(), scores.confusion.tolist(), scores.n_other.tolist()]


def drawn(rng: np.random.Generator, n: int):
    """Return right classes, scores and class ids of n results with two classes each."""
    class_ids = np.argsort(rng.random((n, 3)), axis=1)[:, :2]
    scores = np.sort(rng.dirichlet(np.ones(3), n), axis=1)[:, :0:-1].astype(np.float32)
    return rng.integers(0, 3, n), scores, class_ids


# Six images: cat as cat, cat as cat, cat as dog, dog as dog, mouse as dog, mouse as mouse.
TRUTHS = [0, 0, 0, 1, 2, 2]
SIX = [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]]


def test_the_confusion_matrix_has_a_row_for_each_right_class() -> None:
    assert scores_of(TRUTHS, SIX).confusion.tolist() == [[2, 1, 0], [0, 1, 0], [0, 1, 1]]


def test_precision_recall_and_f1_of_each_class_follow_from_it() -> None:
    found = scores_of(TRUTHS, SIX)
    assert found.precision.tolist() == [1, 1 / 3, 1]
    assert found.recall.tolist() == [2 / 3, 1, 0.5]
    assert found.f1.tolist() == pytest.approx([0.8, 0.5, 2 / 3])
    assert found.support.tolist() == [3, 1, 2]


def test_accuracy_and_macro_f1_are_means_over_images_and_over_classes() -> None:
    found = scores_of(TRUTHS, SIX)
    assert found.tally.accuracy == pytest.approx(4 / 6)
    assert found.macro_f1 == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)


def test_a_class_that_does_not_occur_is_not_in_the_macro_f1() -> None:
    assert scores_of([0, 1], [[1, 0, 0], [0, 1, 0]]).macro_f1 == 1.0


def test_the_log_loss_is_the_mean_of_minus_the_logarithm() -> None:
    found = scores_of([0, 1], [[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]])
    assert found.tally.log_loss == pytest.approx((log(2) + log(4)) / 2)


def test_a_probability_of_0_costs_as_much_as_1e_7() -> None:
    assert scores_of([1], [[1, 0, 0]]).tally.log_loss == pytest.approx(-log(1e-7))


def test_what_the_best_leave_is_shared_among_the_classes_that_are_not_there() -> None:
    # Of four classes two are there, with 0.5 and 0.25: each of the others has 0.125.
    results = floats([[0.5, 0.25]] * 2), np.array([[0, 1]] * 2)
    verdicts = judge(np.array([3, 1]), *results, n_classes=4)
    assert (verdicts.losses / 2**32).tolist() == pytest.approx([log(8), log(4)])
    assert verdicts.ranks.tolist() == [-1, 1]


def test_a_single_class_that_is_not_there_has_all_that_is_left_to_the_last_bit() -> None:
    verdicts = judge(np.array([2]), floats([[0.7, 0.1]]), np.array([[0, 1]]), n_classes=3)
    left = 1 - float(np.float32(0.7)) - float(np.float32(0.1))
    assert abs(int(verdicts.losses[0]) - round(-log(left) * 2**32)) <= 2


def test_a_probability_that_is_above_1_by_a_rounding_error_counts_as_1() -> None:
    figures = scores_of([0], [[1.0005, 0, 0]]).tally.figures()
    assert (figures["log_loss"], figures["calibration_error"]) == (0, 0)


def test_columns_of_verdicts_and_sums_are_whole_numbers_of_64_bits() -> None:
    truths = np.array([1], np.int32)
    for verdicts in (
        judge(truths, *ranked([[0, 1, 0]]), n_classes=3),
        judge(truths, floats([[1]]), np.array([[1]], np.int32), n_classes=3),
        judge(truths, np.zeros((1, 0), np.float32), np.zeros((1, 0), np.int32), n_classes=3),
    ):
        whole = verdicts.truths, verdicts.predicted, verdicts.ranks, verdicts.losses
        assert {column.dtype for column in whole} == {np.dtype(np.int64)}
        assert verdicts.scores.dtype == np.float32
    empty = Tally()
    bins = empty.bin_n, empty.bin_correct, empty.bin_score
    assert {column.dtype for column in bins} == {np.dtype(np.int64)}


def test_top_k_counts_the_right_class_among_the_best_k() -> None:
    rows = [[0.5, 0.3, 0.2]] * 3
    assert scores_of([0, 1, 2], rows, top_k=1).tally.top_k_accuracy == pytest.approx(1 / 3)
    assert scores_of([0, 1, 2], rows, top_k=2).tally.top_k_accuracy == pytest.approx(2 / 3)


def test_the_calibration_error_is_the_distance_of_score_and_accuracy() -> None:
    # Scores 0.75 (bin 11): 1 of 2 is right, distance 0.25. Score 1 (bin 14): wrong, distance 1.
    found = scores_of([0, 1, 1], [[0.75, 0.25, 0], [0.75, 0.25, 0], [1, 0, 0]])
    bins = found.tally.calibration
    assert bins.error == pytest.approx((2 * 0.25 + 1) / 3)
    assert {i: n for i, n in enumerate(bins.n) if n} == {11: 2, 14: 1}
    assert (bins.accuracy[11], bins.score[11]) == (0.5, 0.75)


def test_a_best_class_without_a_label_here_is_another_one() -> None:
    scored = ClassificationMetrics(LABELS, top_k=2)
    scored.update(judge(np.array([1]), floats([[0.6, 0.3]]), np.array([[-1, 1]]), n_classes=3))
    found = scored.compute()
    assert (found.n_other.tolist(), int(found.confusion.sum())) == ([0, 1, 0], 0)
    assert (found.tally.accuracy, found.tally.top_k_accuracy) == (0, 1)
    assert found.support.tolist() == [0, 1, 0]


def test_the_right_class_is_looked_for_among_the_best_five() -> None:
    six = tuple("abcdef")
    rows = [[0.3, 0.2, 0.2, 0.1, 0.1, 0.1]] * 2
    verdicts = judge(np.array([4, 5]), *ranked(rows), n_classes=6)
    scored, window = ClassificationMetrics(six, top_k=5), Window(10, top_k=5)
    scored.update(verdicts)
    window.add(np.array([0, 0]), verdicts)
    assert scored.compute().tally.top_k_accuracy == window.compute().top_k_accuracy == 0.5


def test_an_empty_result_is_wrong() -> None:
    scored = ClassificationMetrics(LABELS, top_k=5)
    nothing = np.zeros((1, 0), np.float32), np.zeros((1, 0), np.int32)
    scored.update(judge(np.array([1]), *nothing, n_classes=3))
    found = scored.compute()
    assert (found.tally.n, found.tally.accuracy, found.n_other.tolist()) == (1, 0, [0, 1, 0])
    assert found.tally.log_loss == pytest.approx(log(3))
    assert found.tally.calibration.n.tolist() == [1, *[0] * 14], "its score is 0"


def test_no_images_have_ratios_of_0() -> None:
    found = ClassificationMetrics(LABELS, top_k=5).compute()
    names = ["n", "accuracy", "top_k_accuracy", "log_loss", "calibration_error"]
    assert found.tally.figures() == dict.fromkeys(names, 0)
    assert found.macro_f1 == 0


@pytest.mark.parametrize("seed", range(20))
def test_the_parts_in_any_order_are_the_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    verdicts = judge(*drawn(rng, 300), n_classes=3)
    whole, parts = (ClassificationMetrics(LABELS, top_k=2) for _ in range(2))
    whole.update(verdicts)
    ends = [0, *np.sort(rng.integers(0, 300, 5)).tolist(), 300]
    for start, stop in reversed([*pairwise(ends)]):
        parts.update(verdicts.take(slice(start, stop)))
    assert plain(parts.compute()) == plain(whole.compute())


def test_metrics_go_on_from_their_state() -> None:
    verdicts = judge(*drawn(np.random.default_rng(0), 100), n_classes=3)
    whole, first, second = (ClassificationMetrics(LABELS, top_k=2) for _ in range(3))
    whole.update(verdicts)
    first.update(verdicts.take(slice(40)))
    second.restore(first.state())
    second.update(verdicts.take(slice(40, None)))
    assert plain(second.compute()) == plain(whole.compute())


def test_after_a_reset_there_are_no_images() -> None:
    scored = ClassificationMetrics(LABELS, top_k=5)
    scored.update(judge(np.array([0]), *ranked([[1, 0, 0]]), n_classes=3))
    scored.reset()
    assert plain(scored.compute()) == plain(ClassificationMetrics(LABELS, top_k=5).compute())


@pytest.mark.parametrize(
    ("truths", "scores", "message"),
    [
        ([3], [[1, 0, 0]], r"right classes are in \[0, 3\); got 3 to 3"),
        ([-1], [[1, 0, 0]], r"right classes are in \[0, 3\); got -1 to -1"),
        ([0, 1], [[1, 0, 0]], r"are \[N, K\]; got \[1, 3\] and \[1, 3\] for 2 images"),
        ([0], [[1.5, 0, 0]], r"scores are in \[0, 1\]; got 0.0 to 1.5"),
        ([0], [[float("nan"), 0, 0]], r"scores are in \[0, 1\]; got nan"),
    ],
)
def test_what_cannot_be_is_refused(truths, scores, message) -> None:
    with pytest.raises(MetricsError, match=message):
        judge(np.array(truths), floats(scores), np.array([[0, 1, 2]]), n_classes=3)


@pytest.mark.parametrize("span_ms", [None, 50])
@pytest.mark.parametrize("seed", range(5))
def test_a_window_is_as_if_there_were_only_its_images(seed: int, span_ms: int | None) -> None:
    rng = np.random.default_rng(seed)
    verdicts = judge(*drawn(rng, 400), n_classes=3)
    times = np.arange(400) * 2 + rng.integers(-30, 30, 400)  # some come late
    window, stop = Window(40, span_ms, top_k=2), 0
    while stop < 400:
        start, stop = stop, min(400, stop + int(rng.integers(1, 60)))
        window.add(times[start:stop], verdicts.take(slice(start, stop)))
        if rng.random() < 0.3:
            restored = Window(40, span_ms, top_k=2)
            restored.restore(window.state())
            window = restored
        last = np.arange(max(0, stop - 40), stop)
        if span_ms is not None:
            last = last[times[last] > times[:stop].max() - span_ms]
        scored = ClassificationMetrics(LABELS, top_k=2)
        scored.update(verdicts.take(last))
        assert window.compute().figures() == scored.compute().tally.figures()


def test_a_window_remembers_no_more_than_it_must() -> None:
    verdicts = judge(*drawn(np.random.default_rng(0), 50), n_classes=3)
    by_count, by_time = Window(60, top_k=5), Window(1_000, 10, top_k=5)
    for start in range(0, 5_000, 50):
        times = np.arange(start, start + 50)
        for window in (by_count, by_time):
            window.add(times, verdicts)
    assert len(by_count.state()["rows"]) == 60 * 24
    assert len(by_time.state()["rows"]) == 10 * 24


def test_a_window_keeps_less_than_twice_its_size_between_two_looks() -> None:
    verdicts = judge(*drawn(np.random.default_rng(0), 50), n_classes=3)
    window, sizes = Window(1_000, top_k=5), list[int]()
    for start in range(0, 10_000, 50):
        window.add(np.arange(start, start + 50), verdicts)
        sizes.append(len(pickle.dumps(window)))
    assert max(sizes) < 2.5 * 1_000 * 24  # 24 bytes an image, and a little for each part


@pytest.mark.parametrize("looks", [True, False])
def test_a_window_goes_on_from_its_state_whether_or_not_it_is_looked_at(looks: bool) -> None:
    one = judge(*drawn(np.random.default_rng(0), 1), n_classes=3)
    window, again = Window(10, 10, top_k=5), Window(10, 10, top_k=5)
    again.restore(window.state())
    again.add(np.array([5]), one)
    window.restore(again.state())
    assert not looks or window.compute().n == 1
    window.add(np.array([6]), one)
    assert window.compute().n == 2


def test_an_image_that_is_too_late_does_not_count_though_it_is_the_only_one() -> None:
    one = judge(*drawn(np.random.default_rng(0), 1), n_classes=3)
    window = Window(1, 10, top_k=5)
    window.add(np.array([100]), one)
    window.add(np.array([5]), one)
    assert window.compute().n == 0


def test_an_empty_or_emptied_window_takes_images_from_before_1970() -> None:
    one = judge(*drawn(np.random.default_rng(0), 1), n_classes=3)
    window = Window(10, 10, top_k=5)
    for _ in range(2):
        window.add(np.array([-1_000]), one)
        assert window.compute().n == 1
        window.add(np.array([1_000]), one)
        window.reset()
        Window(10, 10, top_k=5).restore(window.state())


def test_an_empty_window_has_no_images() -> None:
    window = Window(10, 10, top_k=5)
    window.add(np.zeros(0, np.int64), judge(*drawn(np.random.default_rng(0), 0), n_classes=3))
    assert window.compute().n == 0
    window.add(np.array([5]), judge(*drawn(np.random.default_rng(0), 1), n_classes=3))
    assert window.compute().n == 1
    window.reset()
    assert window.compute().n == 0
