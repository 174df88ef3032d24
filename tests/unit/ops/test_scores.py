"""Scores of classes: probabilities, and the best ones."""

import numpy as np
import pytest

from sightflow.ops.scores import best_of, softmax


def test_large_logits_do_not_overflow() -> None:
    assert softmax(np.float32([[1000, 1000], [-1000, 0]])).tolist() == [[0.5, 0.5], [0, 1]]


def test_of_nothing_there_is_nothing() -> None:
    assert softmax(np.zeros((0, 4, 3), np.float32)).shape == (0, 4, 3)


@pytest.mark.parametrize("n", [1, 3, 999, 1000, 2000])
def test_the_best_are_those_of_a_stable_sort_also_among_equals(n: int) -> None:
    scores = np.random.default_rng(1).integers(0, 50, 1000).astype(np.float32)

    assert (best_of(scores, n) == np.argsort(-scores, kind="stable")[:n]).all()


def test_each_row_of_the_last_axis_sums_to_one() -> None:
    logits = np.log(np.arange(1, 13, dtype=np.float32).reshape(1, 2, 2, 3))
    found = softmax(logits)
    assert found.sum(axis=-1) == pytest.approx(np.ones((1, 2, 2)))
    assert found[0, 1, 0] == pytest.approx(np.array([7, 8, 9]) / 24)
