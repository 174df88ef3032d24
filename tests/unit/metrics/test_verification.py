"""Figures of pairs and of probes: worked out by hand, exact where scores are equal."""

import pickle

import numpy as np
import pytest

from sightflow.errors import MetricsError, ShapeError
from sightflow.metrics.shares import Share
from sightflow.metrics.verification import (
    Identification,
    IdentificationFigures,
    Verification,
    VerificationFigures,
)


def floats(values: list[float]) -> np.ndarray:
    return np.array(values, np.float32)


def pairs(same: list[float], different: list[float]) -> Verification:
    """Return pairs of the same person and of different people, by their scores."""
    verification = Verification()
    is_same = np.repeat([True, False], [len(same), len(different)])
    verification.update(floats([*same, *different]), is_same)
    return verification


def figures(same: list[float], different: list[float]) -> VerificationFigures:
    return pairs(same, different).compute()


def just_above(score: float) -> float:
    return float(np.nextafter(np.float32(score), np.float32(2)))


def plain(found: VerificationFigures) -> list:
    curve = found.curve
    rows = np.stack([curve.far, curve.tar, curve.threshold], axis=1).tolist()
    return [found.n_same, found.n_different, found.eer, found.eer_threshold, found.auc, rows]


def points(found: VerificationFigures) -> list[tuple[float, float, float]]:
    curve = found.curve
    columns = curve.threshold.tolist(), curve.far.tolist(), curve.tar.tolist()
    return list(zip(*columns, strict=True))


# With a rising threshold, of four each:    0    1/8   1/4   3/8   1/2   5/8   3/4   7/8
#   different people that are accepted      4     3     2     2     1     1     0     0
#   pairs of the same person rejected       0     0     0     1     1     2     2     3
SAME = [0.25, 0.5, 0.75, 0.875]
DIFFERENT = [0, 0.125, 0.375, 0.625]


def test_pairs_are_counted_by_kind() -> None:
    found = figures([0.5, 0.75], [0, 0.125, 0.25])
    assert (found.n_same, found.n_different) == (2, 3)


def test_the_equal_error_rate_is_where_both_rates_are_equal() -> None:
    found = figures(SAME, DIFFERENT)
    assert (found.eer, found.eer_threshold) == (1 / 4, 0.5)


def test_between_two_points_the_equal_error_rate_is_on_the_line() -> None:
    # at 0.25 the rates are 2/3 and 0, at 0.5 they are 1/3 and 1/2: equal after 4/5 of the way
    found = figures([0.25, 0.75], [0, 0.25, 0.5])
    assert found.eer == pytest.approx(2 / 3 - 4 / 5 * 1 / 3)
    assert found.eer_threshold == pytest.approx(0.25 + 4 / 5 * 0.25)


@pytest.mark.parametrize(
    ("same", "different", "eer", "threshold"),
    [
        ([0.75, 0.5], [0.25, 0], 0.0, 0.5),  # told apart
        ([0.25, 0], [0.75, 0.5], 1.0, 0.5),  # the wrong way round
        ([0.5], [0.5], 0.5, 0.5),
        ([0.5, 0.5], [0.5, 0.5, 0.5], 0.5, 0.5),
    ],
)
def test_the_equal_error_rate_at_its_ends(same, different, eer, threshold) -> None:
    found = figures(same, different)
    assert found.eer == eer
    assert found.eer_threshold == pytest.approx(threshold)


def test_the_area_counts_equal_scores_half() -> None:
    # 0.25 is above one, equal to one and below one; 0.75 is above all three
    assert figures([0.25, 0.75], [0, 0.25, 0.5]).auc == (1.5 + 3) / 6


@pytest.mark.parametrize(
    ("same", "different", "auc"),
    [([0.5, 0.75], [0, 0.25], 1), ([0, 0.25], [0.5, 0.75], 0), ([0.5], [0.5, 0.5], 0.5)],
)
def test_the_area_at_its_ends(same, different, auc) -> None:
    assert figures(same, different).auc == auc


@pytest.mark.parametrize(
    ("far", "above", "measured", "tar"),
    [
        (0.25, 0.375, 0.25, 0.75),
        (0.49, 0.375, 0.25, 0.75),
        (0.5, 0.125, 0.5, 1),
        (0.75, 0, 0.75, 1),
    ],
)
def test_the_threshold_for_a_rate_is_just_above_the_pair_that_would_be_one_too_many(
    far: float, above: float, measured: float, tar: float
) -> None:
    point = figures(SAME, DIFFERENT).at(far)
    assert point is not None
    assert point.threshold == just_above(above)
    assert (point.far, point.tar) == (measured, tar)


def test_equal_scores_are_accepted_or_rejected_together() -> None:
    found = figures([0.5, 0.75], [0.125, 0.5, 0.5, 0.625])
    point = found.at(0.5)  # two may be accepted, but with 0.5 there are three
    assert point is not None
    assert (point.threshold, point.far, point.tar) == (just_above(0.5), 0.25, 0.5)


def test_a_rate_of_1_accepts_all() -> None:
    for same, different in ((SAME, DIFFERENT), ([-0.5], [0.5])):
        point = figures(same, different).at(1)
        assert point is not None
        assert (point.threshold, point.far, point.tar) == (min(*same, *different), 1, 1)


def test_a_rate_is_not_spoilt_by_rounding() -> None:
    # 0.29 * 100 is 28.999999999999996 in floating point, and 29 of 100 is still 0.29
    found = figures([0.5], [i / 128 for i in range(100)])
    point = found.at(0.29)
    assert point is not None
    assert (point.threshold, point.far) == (just_above(70 / 128), 0.29)


@pytest.mark.parametrize(("n", "far", "can"), [(999, 1e-3, False), (1_000, 1e-3, True)])
def test_a_rate_cannot_be_told_from_too_few_pairs(n: int, far: float, can: bool) -> None:
    found = figures([0.5], [0.25] * n)
    assert found.can_tell(far) is can
    assert (found.at(far) is not None) is can


@pytest.mark.parametrize("far", [0, -0.1, 1.5, float("nan")])
def test_a_rate_that_cannot_be_is_refused(far: float) -> None:
    with pytest.raises(MetricsError, match=r"`far` must be in \(0, 1\]; got"):
        figures(SAME, DIFFERENT).at(far)


@pytest.mark.parametrize(
    ("threshold", "far", "tar"),
    [(-1, 1, 1), (0.375, 0.5, 0.75), (0.376, 0.25, 0.75), (0.875, 0, 0.25), (0.9, 0, 0)],
)
def test_a_pair_with_the_threshold_is_accepted(threshold: float, far: float, tar: float) -> None:
    point = figures(SAME, DIFFERENT).at_threshold(threshold)
    assert (point.threshold, point.far, point.tar) == (threshold, far, tar)


def test_a_threshold_is_that_of_float32() -> None:
    point = figures([0.7], [0.1]).at_threshold(0.7)  # as float32 0.7 is less than it is as float64
    assert point.tar == 1


def test_the_curve_has_a_point_for_each_score_and_one_where_nothing_is_accepted() -> None:
    assert points(figures([0.25, 0.75], [0, 0.25, 0.5])) == [
        (just_above(0.75), 0, 0),
        (0.75, 0, 0.5),
        (0.5, 1 / 3, 0.5),
        (0.25, 2 / 3, 1),
        (0, 1, 1),
    ]


def many(n_same: int, n_different: int) -> VerificationFigures:
    rng = np.random.default_rng(0)
    verification = Verification()
    same, different = rng.normal(0.6, 0.15, n_same), rng.normal(0.1, 0.15, n_different)
    scores = np.clip(np.concatenate([same, different]), -1, 1)
    verification.update(scores, np.repeat([True, False], [n_same, n_different]))
    return verification.compute()


def test_of_few_pairs_each_has_its_point() -> None:
    rng = np.random.default_rng(0)
    same, different = (rng.permutation(480)[:240] / 512 for _ in range(2))
    found = figures(same.tolist(), different.tolist())
    assert set(found.curve.threshold[1:]) == set(floats([*same, *different]))


@pytest.mark.parametrize("n_different", [241, 5_000])
def test_the_first_false_accept_is_on_a_thinned_curve(n_different: int) -> None:
    found = many(30, n_different)
    assert 1 / n_different in found.curve.far


@pytest.mark.parametrize(("n_same", "n_different"), [(240, 240), (3_000, 50_000), (30, 50_000)])
def test_a_long_curve_is_thinned_and_keeps_its_ends(n_same: int, n_different: int) -> None:
    found = many(n_same, n_different)
    first, *between, last = points(found)
    highest, lowest = (
        float(of(side[place] for side in (found.same_scores, found.different_scores)))
        for of, place in ((max, -1), (min, 0))
    )
    assert first == (just_above(highest), 0, 0)
    assert last == (lowest, 1, 1)
    assert 100 < len(between) < 499
    for threshold, far, tar in between:
        point = found.at_threshold(threshold)
        assert (point.far, point.tar) == (far, tar)


def test_a_thinned_curve_is_as_fine_at_low_rates_as_at_high_ones() -> None:
    found = many(3_000, 50_000)
    far = found.curve.far
    decades = [int(((far >= 10.0**-i) & (far < 10.0 ** (1 - i))).sum()) for i in (1, 2, 3, 4)]
    assert min(decades) >= 40, "of the 45 false accepts below 1/1000 each has its point"
    assert np.diff(found.curve.tar).max() < 0.01


def test_the_most_that_is_found_without_a_false_accept_is_on_a_thinned_curve() -> None:
    found = many(3_000, 50_000)
    without = (found.same_scores > found.different_scores[-1]).mean()
    assert without in found.curve.tar[found.curve.far == 0]


@pytest.mark.parametrize("seed", range(20))
def test_figures_are_those_of_each_threshold_tried(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_same, n_different = rng.integers(1, 12, 2).tolist()
    same = (rng.integers(0, 6 + seed, n_same) / 32).tolist()  # many are equal
    different = (rng.integers(0, 6 + seed, n_different) / 32).tolist()
    found = figures(same, different)
    tried = sorted({*same, *different}, reverse=True)
    accepted = [
        (t, sum(d >= t for d in different) / n_different, sum(s >= t for s in same) / n_same)
        for t in tried
    ]
    assert points(found)[1:] == accepted
    doubled = sum(2 * (s > d) + (s == d) for s in same for d in different)
    assert found.auc == doubled / (2 * n_same * n_different)
    gaps = [abs(far + tar - 1) for _, far, tar in [(0, 0, 0), *accepted]]
    rates = [(far, 1 - tar) for _, far, tar in [(0, 0, 0), *accepted]]
    nearest = rates[gaps.index(min(gaps))]
    assert abs(found.eer - nearest[0]) <= min(gaps) + 1e-12, "no further than the nearest point"
    for n_allowed in range(1, n_different):
        point = found.at(n_allowed / n_different)
        assert point is not None
        best = max(tar for _, far, tar in [(0, 0, 0), *accepted] if far <= n_allowed / n_different)
        assert point.far <= n_allowed / n_different
        assert point.tar == best


def test_batches_in_any_order_and_merged_are_the_whole() -> None:
    rng = np.random.default_rng(0)
    scores, same = rng.uniform(-1, 1, 300), rng.random(300) < 0.3
    whole, first, second = Verification(), Verification(), Verification()
    whole.update(scores, same)
    for start in (200, 0, 100):
        part = slice(start, start + 100)
        (first if start else second).update(scores[part], same[part])
    first.merge(second)
    assert plain(first.compute()) == plain(whole.compute())


def test_the_whole_in_blocks_has_the_same_area(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sightflow.metrics.verification._BLOCK", 2)
    assert figures([0.25, 0.75, 0.5], [0, 0.25, 0.5]).auc == (1.5 + 3 + 2.5) / 9


def test_figures_stay_as_they_are_when_more_pairs_come() -> None:
    verification = pairs(SAME, DIFFERENT)
    found = verification.compute()
    before = plain(found)
    verification.update(floats([0.5]), np.array([False]))
    assert plain(found) == before
    assert verification.compute().n_different == 5


def test_a_pair_takes_4_bytes() -> None:
    verification, n = Verification(), 100_000
    for _ in range(10):
        verification.update(np.zeros(n // 10), np.ones(n // 10, bool))
    assert len(pickle.dumps(verification)) < 4 * n + 1_000


def test_after_a_reset_there_are_no_pairs() -> None:
    verification = pairs(SAME, DIFFERENT)
    verification.reset()
    with pytest.raises(MetricsError, match="got 0 and 0"):
        verification.compute()


@pytest.mark.parametrize(
    ("same", "different", "counts"), [(SAME, [], "4 and 0"), ([], SAME, "0 and 4")]
)
def test_pairs_of_one_kind_have_no_figures(same, different, counts: str) -> None:
    needs = "needs pairs of the same person and of different people"
    with pytest.raises(MetricsError, match=f"{needs}; got {counts}; take at least two people"):
        figures(same, different)


@pytest.mark.parametrize("score", [1.5, -1.5, float("nan"), float("inf")])
def test_what_is_no_cosine_is_refused(score: float) -> None:
    message = r"^`scores` must be cosines in \[-1, 1\]; got .* to .*; embeddings have unit length$"
    with pytest.raises(MetricsError, match=message):
        pairs([score, 0], [])
    with pytest.raises(MetricsError, match=r"`best_scores` must be cosines in \[-1, 1\]; got"):
        probes([(True, score, True)])


def test_a_rounding_error_above_1_is_none() -> None:
    assert figures([1.0000001], [-1.0000001]).eer == 0


@pytest.mark.parametrize(
    ("scores", "same", "message"),
    [
        (np.zeros((2, 1)), np.ones(2, bool), r"`scores` must be float \[N\]; got float64 \[2, 1\]"),
        (np.zeros(2, int), np.ones(2, bool), r"`scores` must be float \[N\]; got int64 \[2\]"),
        (np.zeros(2), np.ones(3, bool), r"`same` must be bool \[2\]; got bool \[3\]"),
        (np.zeros(2), np.ones(2, int), r"`same` must be bool \[2\]; got int64 \[2\]"),
    ],
)
def test_an_array_of_another_shape_or_dtype_is_refused(scores, same, message) -> None:
    with pytest.raises(ShapeError, match=message):
        Verification().update(scores, same)


def probes(rows: list[tuple[bool, float, bool]]) -> Identification:
    """Return probes that are given by: best person is right, best score, is enrolled."""
    identification = Identification()
    right, scores, enrolled = zip(*rows, strict=True) if rows else ((), (), ())
    identification.update(np.array(right, bool), floats([*scores]), np.array(enrolled, bool))
    return identification


# Five probes of enrolled people, one of them taken for another person, and four of others.
NINE = [
    (True, 0.75, True), (True, 0.5, True), (True, 0.25, True), (True, 0.875, True),
    (False, 0.5, True),
    (False, 0.125, False), (False, 0.25, False), (False, 0.375, False), (False, 0.625, False),
]  # fmt: skip


def told(found: IdentificationFigures, threshold: float) -> list[tuple[int, int]]:
    point = found.at(threshold)
    assert point.threshold == threshold
    shares = point.identified, point.wrong, point.missed
    others = point.unknown_rejected, point.false_identified
    return [(share.n_hits, share.n) for share in shares + others]


def test_rank_1_is_of_enrolled_probes_whatever_the_score() -> None:
    assert probes(NINE).compute().rank_1 == Share(4, 5)


@pytest.mark.parametrize(
    ("threshold", "hits"),
    [
        (0.5, [(3, 5), (1, 5), (1, 5), (3, 4), (1, 4)]),
        (0.51, [(2, 5), (0, 5), (3, 5), (3, 4), (1, 4)]),
        (-1, [(4, 5), (1, 5), (0, 5), (0, 4), (4, 4)]),
        (1, [(0, 5), (0, 5), (5, 5), (4, 4), (0, 4)]),
    ],
)
def test_probes_at_a_threshold(threshold: float, hits: list[tuple[int, int]]) -> None:
    assert told(probes(NINE).compute(), threshold) == hits


def test_without_probes_shares_are_of_nothing() -> None:
    found = probes([]).compute()
    assert found.rank_1 == Share(0, 0)
    assert told(found, 0.5) == [(0, 0)] * 5


def test_probes_merged_are_the_whole() -> None:
    first, second = probes(NINE[:4]), probes(NINE[4:])
    first.merge(second)
    assert told(first.compute(), 0.5) == told(probes(NINE).compute(), 0.5)


def test_after_a_reset_there_are_no_probes() -> None:
    identification = probes(NINE)
    identification.reset()
    assert told(identification.compute(), 0.5) == [(0, 0)] * 5


def test_who_is_not_enrolled_cannot_be_found() -> None:
    message = (
        "^the best match can be right only for a person who is enrolled; "
        "got 2 probes where it is and the person is not$"
    )
    with pytest.raises(MetricsError, match=message):
        probes([(True, 0.5, False), (True, 0.5, False), (True, 0.5, True)])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((np.ones(2, bool), np.zeros((1, 2)), np.ones(2, bool)), r"`best_scores` must be float"),
        ((np.ones(1, bool), np.zeros(2), np.ones(2, bool)), "`best_person_is_right` must be bool"),
        ((np.ones(2, bool), np.zeros(2), np.ones(2)), "`is_enrolled` must be bool"),
    ],
)
def test_arrays_of_probes_are_checked(arrays, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        Identification().update(*arrays)
