"""Scores of tracks, worked out by hand on tiny sequences."""

from math import sqrt

import pytest

from sightflow.errors import MetricsError
from sightflow.metrics.tracking import TrackingMetrics, TrackingScores
from sightflow.storage.motfile import MotRows, parse_mot

HERE, THERE = "0,0,10,10", "100,0,10,10"


def rows(*boxes: tuple[int, int, str], score: int = 1) -> MotRows:
    """Return boxes that are given by frame, id and left,top,width,height."""
    lines = [f"{frame},{track_id},{box},{score}" for frame, track_id, box in boxes]
    return parse_mot("\n".join(lines).encode(), "rows")


def still(n_frames: int, track_id: int = 1, box: str = HERE) -> list[tuple[int, int, str]]:
    """Return an object that stays where it is."""
    return [(frame, track_id, box) for frame in range(1, n_frames + 1)]


def scores(truth: MotRows, predictions: MotRows) -> TrackingScores:
    metrics = TrackingMetrics()
    metrics.update("a", truth, predictions)
    return metrics.compute()


def test_tracks_that_are_the_truth_under_other_ids_are_perfect() -> None:
    truth = rows(*still(4, 1), *still(4, 2, THERE))
    found = scores(truth, rows(*still(4, 8), *still(4, 7, THERE))).as_dict()
    ratios = ("hota", "det_a", "ass_a", "loc_a", "idf1", "idp", "idr", "mota", "motp")
    assert [found[name] for name in ratios] == pytest.approx([1] * 9)
    assert (found["n_matches"], found["n_mostly_tracked"], found["n_mostly_lost"]) == (8, 2, 0)
    wrong = ("n_false_positives", "n_misses", "n_id_switches", "n_fragmentations")
    assert [found[name] for name in wrong] == [0, 0, 0, 0]


def test_a_single_box_that_is_found_is_perfect() -> None:
    found = scores(rows(*still(1)), rows(*still(1, 5)))
    assert (found.hota.hota, found.hota.det_a, found.hota.ass_a) == pytest.approx((1, 1, 1))
    assert (found.identity.idf1, found.clear.mota, found.clear.motp) == pytest.approx((1, 1, 1))


@pytest.mark.parametrize(
    ("n_found", "mostly_tracked", "mostly_lost"), [(5, 1, 0), (4, 0, 0), (1, 0, 0), (0, 0, 1)]
)
def test_mostly_tracked_is_above_80_percent_of_the_frames_and_mostly_lost_below_20(
    n_found: int, mostly_tracked: int, mostly_lost: int
) -> None:
    found = scores(rows(*still(5)), rows(*still(n_found, 5))).clear
    assert (found.n_mostly_tracked, found.n_mostly_lost) == (mostly_tracked, mostly_lost)


def test_a_change_of_id_in_the_middle_is_one_switch() -> None:
    found = scores(rows(*still(4)), rows(*still(2, 5), (3, 6, HERE), (4, 6, HERE)))
    assert found.clear.n_id_switches == 1
    assert found.clear.n_fragmentations == 0
    assert found.clear.mota == pytest.approx(3 / 4)
    # one of both tracks has the identity: 2 boxes right, 2 wrong, 2 missing
    assert found.identity.idf1 == pytest.approx(0.5)
    # each match: 2 of 4 true boxes, all 2 predicted ones: 2 / (4 + 2 - 2)
    assert found.hota.ass_a == pytest.approx(0.5)
    assert found.hota.det_a == pytest.approx(1)
    assert found.hota.hota == pytest.approx(sqrt(0.5))


def test_a_box_that_is_not_found_is_a_miss_and_a_fragmentation() -> None:
    found = scores(rows(*still(4)), rows((1, 5, HERE), (2, 5, HERE), (4, 5, HERE), (3, 6, THERE)))
    assert found.clear.n_misses == 1
    assert found.clear.n_fragmentations == 1
    assert found.clear.n_id_switches == 0
    assert found.clear.n_false_positives == 1
    assert found.clear.mota == pytest.approx((3 - 1) / 4)
    assert found.clear.n_mostly_tracked == 0  # 3 of 4 is less than 80 %
    assert (found.identity.idr, found.identity.idp) == pytest.approx((3 / 4, 3 / 4))


def test_a_frame_in_which_nothing_was_predicted_is_no_fragmentation() -> None:
    """TrackEval has it so: it passes over such a frame."""
    found = scores(rows(*still(4)), rows((1, 5, HERE), (2, 5, HERE), (4, 5, HERE)))
    assert found.clear.n_misses == 1
    assert found.clear.n_fragmentations == 0


def test_a_box_that_is_nowhere_in_the_truth_is_a_false_positive() -> None:
    found = scores(rows(*still(4)), rows(*still(4, 5), (2, 6, THERE)))
    assert found.clear.n_false_positives == 1
    assert found.clear.mota == pytest.approx(3 / 4)
    assert (found.identity.idp, found.identity.idr) == pytest.approx((4 / 5, 1))
    assert found.hota.det_a == pytest.approx(4 / 5)
    assert found.hota.ass_a == pytest.approx(1)


def test_half_a_box_still_matches_and_says_how_well() -> None:
    found = scores(rows(*still(2)), rows(*still(2, 5, "0,0,10,5")))
    assert found.clear.n_matches == 2
    assert found.clear.motp == pytest.approx(0.5)
    # at the 10 thresholds from 0.05 to 0.5 all match, at the other 9 nothing does
    assert found.hota.det_a == pytest.approx(10 / 19)
    assert found.hota.loc_a == pytest.approx((10 * 0.5 + 9 * 1) / 19)


def test_less_than_half_a_box_does_not_match() -> None:
    found = scores(rows(*still(2)), rows(*still(2, 5, "0,0,10,4")))
    assert (found.clear.n_matches, found.clear.n_misses) == (0, 2)
    assert found.clear.mota == pytest.approx(-1)
    assert found.clear.n_mostly_lost == 1
    assert found.identity.idf1 == 0


def test_of_two_true_boxes_the_one_that_overlaps_more_has_the_prediction() -> None:
    """motrics 0.3.0 takes the other one when there is a second prediction that matches neither."""
    truth = rows((1, 1, "0,0,10,6"), (1, 2, "0,0,10,8"))
    found = scores(truth, rows((1, 5, HERE), (1, 6, THERE)))
    assert found.clear.n_matches == 1
    assert found.clear.motp == pytest.approx(0.8)


def test_a_pair_of_the_frame_before_stays_a_pair() -> None:
    truth = rows(*still(2))
    found = scores(truth, rows((1, 5, HERE), (2, 5, "0,0,10,6"), (2, 6, HERE)))
    assert found.clear.n_id_switches == 0
    assert found.clear.iou_sum == pytest.approx(1.6)


def test_rows_of_the_truth_with_score_0_do_not_count() -> None:
    ignored = parse_mot(f"1,1,{HERE},1\n1,2,{THERE},0".encode(), "gt")
    found = scores(ignored, rows((1, 5, HERE)))
    assert (found.clear.n_matches, found.clear.n_misses) == (1, 0)
    found = scores(ignored, rows((1, 5, HERE), (1, 6, THERE)))
    assert found.clear.n_false_positives == 1


def test_rows_may_come_in_any_order_and_frames_be_left_out() -> None:
    truth = rows((9, 1, HERE), (2, 1, HERE), (5, 1, THERE))
    found = scores(truth, rows((5, 3, THERE), (9, 3, HERE), (2, 3, HERE)))
    assert found.clear.mota == 1


@pytest.mark.parametrize(
    ("n_true", "n_predicted", "counts"), [(0, 0, (0, 0)), (3, 0, (0, 3)), (0, 3, (3, 0))]
)
def test_nothing_true_and_nothing_predicted_are_no_error(
    n_true: int, n_predicted: int, counts: tuple[int, int]
) -> None:
    found = scores(rows(*still(n_true)), rows(*still(n_predicted)))
    assert (found.clear.n_false_positives, found.clear.n_misses) == counts
    assert (found.clear.mota, found.identity.idf1, found.hota.hota) == (0, 0, 0)


def test_sequences_add_up_as_if_they_were_one() -> None:
    metrics = TrackingMetrics()
    metrics.update("perfect", rows(*still(6)), rows(*still(6)))
    metrics.update("lost", rows(*still(2)), rows(*still(2, 5, THERE)))
    combined = metrics.compute()
    assert combined.clear.mota == pytest.approx((6 - 2) / 8)
    assert combined.identity.idf1 == pytest.approx(6 / 8)
    assert combined.hota.det_a == pytest.approx(6 / 10)
    assert combined.hota.ass_a == pytest.approx(1)  # mean over matches, and the lost one has none
    assert combined.hota.hota == pytest.approx(sqrt(6 / 10))
    by_sequence = metrics.by_sequence()
    assert list(by_sequence) == ["perfect", "lost"]
    assert [s.clear.mota for s in by_sequence.values()] == pytest.approx([1, -1])


def test_two_halves_merged_are_the_whole() -> None:
    halves = [TrackingMetrics(), TrackingMetrics()]
    whole = TrackingMetrics()
    for name, half in zip("ab", halves, strict=True):
        truth, found = rows(*still(3)), rows(*still(2, 5), (3, 6, HERE))
        half.update(name, truth, found)
        whole.update(name, truth, found)
    halves[0].merge(halves[1])
    assert halves[0].compute().as_dict() == whole.compute().as_dict()
    with pytest.raises(MetricsError, match="b: this sequence is scored already"):
        halves[0].merge(halves[1])


def test_after_a_reset_there_is_nothing() -> None:
    metrics = TrackingMetrics()
    metrics.update("a", rows(*still(3)), rows(*still(3)))
    metrics.reset()
    assert metrics.by_sequence() == {}
    assert metrics.compute().clear.n_matches == 0


def test_a_sequence_is_scored_once() -> None:
    metrics = TrackingMetrics()
    metrics.update("a", rows(*still(1)), rows(*still(1)))
    with pytest.raises(MetricsError, match="a: this sequence is scored already"):
        metrics.update("a", rows(*still(1)), rows(*still(1)))


@pytest.mark.parametrize("side", ["truth", "predictions"])
def test_an_id_twice_in_a_frame_is_an_error(side: str) -> None:
    good, bad = rows(*still(3)), rows(*still(3), (2, 1, THERE))
    sides = {"truth": good, "predictions": good, side: bad}
    with pytest.raises(MetricsError, match=f"a: {side}: .* frame 2 has 1 more than once"):
        TrackingMetrics().update("a", **sides)
