"""Which boxes belong together."""

import numpy as np

from sightflow.ops.association import best_pairs, grown


def pairs(similarity: list[list[float]], min_similarity: float) -> list[tuple[int, int]]:
    rows, columns = best_pairs(np.array(similarity, np.float32), min_similarity=min_similarity)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def test_the_best_sum_wins_over_the_best_pair() -> None:
    assert pairs([[0.9, 0.8], [0.8, 0.1]], 0.05) == [(0, 1), (1, 0)]


def test_a_pair_below_the_limit_is_none_and_does_not_displace_others() -> None:
    assert pairs([[0.9, 0.29], [0.29, 0.0]], 0.3) == [(0, 0)]
    assert pairs([[0.3]], 0.3) == [(0, 0)]


def test_more_rows_than_columns_leave_rows_alone() -> None:
    assert pairs([[0.2], [0.6], [0.5]], 0.1) == [(1, 0)]


def test_boxes_grow_around_their_centre() -> None:
    assert grown(np.array([[10, 10, 20, 30]], np.float32), 1.0).tolist() == [[5, 0, 25, 40]]
    assert grown(np.zeros((0, 4), np.float32), 1.0).shape == (0, 4)


def test_what_is_not_similar_at_all_is_no_pair_whatever_the_limit() -> None:
    assert pairs([[0.0, 0.2], [0.0, 0.0]], 0.0) == [(0, 1)]
