"""Figures of classifications: worked out by hand, the same in any order, exact in a window."""

import pickle
from math import log

import numpy as np
import pytest

from sightflow.errors import MetricsError
from sightflow.metrics.classification import ClassificationMetrics, Tally, Window, judge

LABELS = ("cat", "dog", "mouse")


def floats(rows: list[list[float]]) -> np.ndarray:
    return np.array(rows, np.float32)


def metrics(truths: list[int], probabilities: list[list[float]], **options) -> dict:
    scored = ClassificationMetrics(LABELS, **options)
    scored.update(np.array(truths), floats(probabilities))
    return scored.compute().as_dict()


def drawn(rng: np.random.Generator, n: int):
    """Return right classes, scores and class ids of n results with two classes each."""
    class_ids = np.argsort(rng.random((n, 3)), axis=1)[:, :2]
    scores = np.sort(rng.dirichlet(np.ones(3), n), axis=1)[:, :0:-1].astype(np.float32)
    return rng.integers(0, 3, n), scores, class_ids


# Six images: cat as cat, cat as cat, cat as dog, dog as dog, mouse as dog, mouse as mouse.
TRUTHS = [0, 0, 0, 1, 2, 2]
SIX = [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]]


def test_the_confusion_matrix_has_a_row_for_each_right_class() -> None:
    assert metrics(TRUTHS, SIX)["confusion"] == [[2, 1, 0], [0, 1, 0], [0, 1, 1]]


def test_precision_recall_and_f1_of_each_class_follow_from_it() -> None:
    classes = metrics(TRUTHS, SIX)["classes"]
    assert classes["cat"] == {"precision": 1.0, "recall": 2 / 3, "f1": pytest.approx(0.8), "n": 3}
    assert classes["dog"] == {"precision": 1 / 3, "recall": 1.0, "f1": 0.5, "n": 1}
    assert classes["mouse"] == {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "n": 2}


def test_accuracy_and_macro_f1_are_means_over_images_and_over_classes() -> None:
    found = metrics(TRUTHS, SIX)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["macro_f1"] == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)


def test_a_class_that_does_not_occur_is_not_in_the_macro_f1() -> None:
    assert metrics([0, 1], [[1, 0, 0], [0, 1, 0]])["macro_f1"] == 1.0


def test_the_log_loss_is_the_mean_of_minus_the_logarithm() -> None:
    found = metrics([0, 1], [[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]])
    assert found["log_loss"] == pytest.approx((log(2) + log(4)) / 2)


def test_a_probability_of_0_costs_as_much_as_1e_7() -> None:
    assert metrics([1], [[1, 0, 0]])["log_loss"] == pytest.approx(-log(1e-7))


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
    found = metrics([0], [[1.0005, 0, 0]])
    assert (found["log_loss"], found["calibration_error"]) == (0, 0)


def test_columns_of_verdicts_and_sums_are_whole_numbers_of_64_bits() -> None:
    truths = np.array([1], np.int32)
    for verdicts in (
        judge(truths, floats([[0, 1, 0]]), n_classes=3),
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
    assert metrics([0, 1, 2], rows, top_k=1)["top_k_accuracy"] == pytest.approx(1 / 3)
    assert metrics([0, 1, 2], rows, top_k=2)["top_k_accuracy"] == pytest.approx(2 / 3)


def test_of_equal_probabilities_the_first_class_is_the_best() -> None:
    verdicts = judge(np.array([0, 1]), floats([[0.5, 0.5, 0.0]] * 2), n_classes=3)
    assert verdicts.predicted.tolist() == [0, 0]
    assert verdicts.ranks.tolist() == [0, 1]


def test_the_calibration_error_is_the_distance_of_score_and_accuracy() -> None:
    # Scores 0.75 (bin 11): 1 of 2 is right, distance 0.25. Score 1 (bin 14): wrong, distance 1.
    found = metrics([0, 1, 1], [[0.75, 0.25, 0], [0.75, 0.25, 0], [1, 0, 0]])
    assert found["calibration_error"] == pytest.approx((2 * 0.25 + 1) / 3)
    bins = found["calibration"]
    assert {i: n for i, n in enumerate(bins["n"]) if n} == {11: 2, 14: 1}
    assert (bins["accuracy"][11], bins["score"][11]) == (0.5, 0.75)


def test_results_in_full_and_the_best_of_them_give_the_same() -> None:
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.ones(3), 200).astype(np.float32)
    truths = rng.integers(0, 3, 200)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    best = np.take_along_axis(probabilities, order, axis=1)
    full, ranked = ClassificationMetrics(LABELS), ClassificationMetrics(LABELS)
    full.update(truths, probabilities)
    ranked.update(truths, best, order)
    assert full.compute().as_dict() == ranked.compute().as_dict()


def test_a_best_class_without_a_label_here_is_another_one() -> None:
    scored = ClassificationMetrics(LABELS, top_k=2)
    scored.update(np.array([1]), floats([[0.6, 0.3]]), np.array([[-1, 1]]))
    found = scored.compute()
    assert (found.n_other.tolist(), int(found.confusion.sum())) == ([0, 1, 0], 0)
    assert (found.tally.accuracy, found.tally.top_k_accuracy) == (0, 1)
    assert found.support.tolist() == [0, 1, 0]
    assert found.as_dict()["n_other"] == [0, 1, 0]


def test_the_right_class_is_looked_for_among_the_best_five() -> None:
    six = tuple("abcdef")
    verdicts = judge(np.array([4, 5]), floats([[0.3, 0.2, 0.2, 0.1, 0.1, 0.1]] * 2), n_classes=6)
    scored, window = ClassificationMetrics(six), Window(10)
    scored.add(verdicts)
    window.add(np.array([0, 0]), verdicts)
    assert scored.compute().tally.top_k_accuracy == window.compute().top_k_accuracy == 0.5


def test_an_empty_result_is_wrong() -> None:
    scored = ClassificationMetrics(LABELS)
    scored.update(np.array([1]), np.zeros((1, 0), np.float32), np.zeros((1, 0), np.int32))
    found = scored.compute()
    assert (found.tally.n, found.tally.accuracy, found.n_other.tolist()) == (1, 0, [0, 1, 0])
    assert found.tally.log_loss == pytest.approx(log(3))
    assert found.as_dict()["calibration"]["n"] == [1, *[0] * 14], "its score is 0"


def test_no_images_have_ratios_of_0() -> None:
    found = ClassificationMetrics(LABELS).compute().as_dict()
    ratios = ("accuracy", "top_k_accuracy", "log_loss", "calibration_error", "macro_f1")
    assert [found[name] for name in ("n", *ratios)] == [0] * 6


@pytest.mark.parametrize("seed", range(20))
def test_the_parts_merged_in_any_order_are_the_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truths, scores, class_ids = drawn(rng, 300)
    whole, merged = ClassificationMetrics(LABELS), ClassificationMetrics(LABELS)
    whole.update(truths, scores, class_ids)
    for rows in reversed(np.split(np.arange(300), np.sort(rng.integers(0, 300, 5)))):
        part = ClassificationMetrics(LABELS)
        part.update(truths[rows], scores[rows], class_ids[rows])
        merged.merge(part)
    assert merged.compute().as_dict() == whole.compute().as_dict()


def test_metrics_go_on_from_their_state() -> None:
    truths, scores, class_ids = drawn(np.random.default_rng(0), 100)
    whole, first, second = (ClassificationMetrics(LABELS) for _ in range(3))
    whole.update(truths, scores, class_ids)
    first.update(truths[:40], scores[:40], class_ids[:40])
    second.restore(first.state())
    second.update(truths[40:], scores[40:], class_ids[40:])
    assert second.compute().as_dict() == whole.compute().as_dict()


def test_after_a_reset_there_are_no_images() -> None:
    scored = ClassificationMetrics(LABELS)
    scored.update(np.array([0]), floats([[1, 0, 0]]))
    scored.reset()
    assert scored.compute().as_dict() == ClassificationMetrics(LABELS).compute().as_dict()


def test_metrics_of_other_labels_are_not_merged() -> None:
    with pytest.raises(MetricsError, match="the same labels and k; got 3 labels, top 5, and 1"):
        ClassificationMetrics(LABELS).merge(ClassificationMetrics(("cat",)))


@pytest.mark.parametrize(
    ("truths", "scores", "message"),
    [
        ([3], [[1, 0, 0]], r"right classes are in \[0, 3\); got 3 to 3"),
        ([-1], [[1, 0, 0]], r"right classes are in \[0, 3\); got -1 to -1"),
        ([0], [[1, 0]], r"or \[N, 3\] without them; got \[1, 2\] for 1 images"),
        ([0], [[1.5, 0, 0]], r"scores are in \[0, 1\]; got 0.0 to 1.5"),
        ([0], [[float("nan"), 0, 0]], r"scores are in \[0, 1\]; got nan"),
    ],
)
def test_what_cannot_be_is_refused(truths, scores, message) -> None:
    with pytest.raises(MetricsError, match=message):
        judge(np.array(truths), floats(scores), n_classes=3)


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
        scored.add(verdicts.take(last))
        assert window.compute().figures() == scored.compute().tally.figures()


def test_a_window_remembers_no_more_than_it_must() -> None:
    verdicts = judge(*drawn(np.random.default_rng(0), 50), n_classes=3)
    by_count, by_time = Window(60), Window(1_000, 10)
    for start in range(0, 5_000, 50):
        times = np.arange(start, start + 50)
        for window in (by_count, by_time):
            window.add(times, verdicts)
    assert len(by_count.state()["rows"]) == 60 * 24
    assert len(by_time.state()["rows"]) == 10 * 24


def test_a_window_keeps_less_than_twice_its_size_between_two_looks() -> None:
    verdicts = judge(*drawn(np.random.default_rng(0), 50), n_classes=3)
    window, sizes = Window(1_000), list[int]()
    for start in range(0, 10_000, 50):
        window.add(np.arange(start, start + 50), verdicts)
        sizes.append(len(pickle.dumps(window)))
    assert max(sizes) < 2.5 * 1_000 * 24  # 24 bytes an image, and a little for each part


@pytest.mark.parametrize("looks", [True, False])
def test_a_window_goes_on_from_its_state_whether_or_not_it_is_looked_at(looks: bool) -> None:
    one = judge(*drawn(np.random.default_rng(0), 1), n_classes=3)
    window, again = Window(10, 10), Window(10, 10)
    again.restore(window.state())
    again.add(np.array([5]), one)
    window.restore(again.state())
    assert not looks or window.compute().n == 1
    window.add(np.array([6]), one)
    assert window.compute().n == 2


def test_an_image_that_is_too_late_does_not_count_though_it_is_the_only_one() -> None:
    one = judge(*drawn(np.random.default_rng(0), 1), n_classes=3)
    window = Window(1, 10)
    window.add(np.array([100]), one)
    window.add(np.array([5]), one)
    assert window.compute().n == 0


def test_an_empty_or_emptied_window_takes_images_from_before_1970() -> None:
    one = judge(*drawn(np.random.default_rng(0), 1), n_classes=3)
    window = Window(10, 10)
    for _ in range(2):
        window.add(np.array([-1_000]), one)
        assert window.compute().n == 1
        window.add(np.array([1_000]), one)
        window.reset()
        Window(10, 10).restore(window.state())


def test_an_empty_window_has_no_images() -> None:
    window = Window(10, 10)
    window.add(np.zeros(0, np.int64), judge(*drawn(np.random.default_rng(0), 0), n_classes=3))
    assert window.compute().n == 0
    window.add(np.array([5]), judge(*drawn(np.random.default_rng(0), 1), n_classes=3))
    assert window.compute().n == 1
    window.reset()
    assert window.compute().n == 0
