"""Heads read outputs made by hand."""

import numpy as np
import pytest

from sightflow.errors import CardError, ModelError
from sightflow.tasks.heads import (
    Logits,
    NanoDet,
    Probabilities,
    SeveralHeads,
    XyxyScoreClass,
    Yolo,
)


def f32(values):
    return np.array(values, np.float32)


def rows_of(found):
    """Return (box, score, class id) of each candidate."""
    assert found.boxes_xyxy.dtype == found.scores.dtype == np.float32
    assert found.class_ids.dtype == np.int32
    assert found.boxes_xyxy.shape == (len(found.scores), 4)
    return [
        (box.tolist(), pytest.approx(float(score)), int(class_id))
        for box, score, class_id in zip(
            found.boxes_xyxy, found.scores, found.class_ids, strict=True
        )
    ]


# --- classifiers ---------------------------------------------------------------------------------


def test_probabilities_are_taken_as_they_are():
    result = Probabilities("p")({"other": f32([[9]]), "p": f32([[0.25, 0.75]])})

    assert result.tolist() == [[0.25, 0.75]]


def test_probabilities_of_another_dtype_become_float32():
    assert Probabilities()({"p": np.array([[0.5, 0.5]])}).dtype == np.float32


def test_logits_go_through_a_softmax():
    result = Logits()({"x": f32([[0, np.log(3)], [5, 5]])})

    assert result == pytest.approx(f32([[0.25, 0.75], [0.5, 0.5]]), abs=1e-6)
    assert result.dtype == np.float32


def test_large_logits_do_not_overflow():
    assert Logits()({"x": f32([[1000, 0], [-1000, -1000]])}).tolist() == [[1, 0], [0.5, 0.5]]


@pytest.mark.parametrize("head", [Probabilities("gone"), Logits("gone")])
def test_an_output_that_the_model_lacks_is_refused(head):
    with pytest.raises(ModelError, match=r"names the output 'gone'; there are \['x'\]"):
        head({"x": f32([[1]])})


# --- rows of six ---------------------------------------------------------------------------------


def test_rows_of_six_are_kept_from_min_score_on():
    output = f32([[[1, 2, 3, 4, 0.5, 7], [5, 6, 7, 8, 0.49, 1]], [[0] * 6, [9, 9, 9, 9, 1, 2]]])

    first, second = XyxyScoreClass()({"boxes": output}, min_score=0.5)

    assert rows_of(first) == [([1, 2, 3, 4], 0.5, 7)]
    assert rows_of(second) == [([9, 9, 9, 9], 1, 2)]


def test_an_output_that_has_no_rows_of_six_is_refused_with_its_shape():
    with pytest.raises(ModelError, match=r"reads an output \[B, k, 6\]; got \[1, 2, 5\]"):
        XyxyScoreClass()({"boxes": np.zeros((1, 2, 5), np.float32)}, min_score=0.5)


# --- YOLO ----------------------------------------------------------------------------------------

# cx, cy, w, h, then scores of two classes: one row for each candidate
CANDIDATES = f32([[[10, 20, 4, 6, 0.1, 0.8], [50, 50, 10, 10, 0.6, 0.2], [1, 1, 1, 1, 0.1, 0.1]]])
BEST = [([8, 17, 12, 23], 0.8, 1), ([45, 45, 55, 55], 0.6, 0)]


def test_yolo_gives_the_best_class_of_each_candidate():
    (found,) = Yolo()({"out": CANDIDATES.transpose(0, 2, 1)}, min_score=0.5)

    assert rows_of(found) == BEST


def test_yolo_transposed_has_a_row_for_each_candidate():
    (found,) = Yolo(transposed=True)({"out": CANDIDATES}, min_score=0.5)

    assert rows_of(found) == BEST


@pytest.mark.parametrize("transposed", [False, True])
def test_yolo_with_objectness_multiplies_it_in(transposed):
    rows = f32([[[10, 20, 4, 6, 0.5, 0.4, 0.9], [1, 1, 1, 1, 0.4, 1.0, 0.1]]])  # 0.45, 0.4
    output = rows if transposed else rows.transpose(0, 2, 1)

    (found,) = Yolo(objectness=True, transposed=transposed)({"out": output}, min_score=0.42)

    assert rows_of(found) == [([8, 17, 12, 23], 0.45, 1)]


def test_yolo_may_find_nothing():
    (found,) = Yolo(transposed=True)({"out": CANDIDATES}, min_score=0.9)

    assert rows_of(found) == []


def test_an_output_of_another_rank_is_refused_with_its_shape():
    with pytest.raises(ModelError, match=r"\[B, 4 \+ classes, k\]; got \[6, 3\]"):
        Yolo()({"out": np.zeros((6, 3), np.float32)}, min_score=0.5)


# --- NanoDet -------------------------------------------------------------------------------------

SURE = 50.0  # a logit beside zeros: probability 1 but for 1e-21


def nanodet_outputs(shape, cell, *, scores, sides, n_bins=4):
    """Return one level for one image; `sides` are the bins that left, top, right, bottom name."""
    rows, columns = shape
    score = np.zeros((1, rows * columns, len(scores)), np.float32)
    score[0, cell] = scores
    bins = np.zeros((1, rows * columns, 4, n_bins), np.float32)
    for side, named in enumerate(sides):
        bins[0, cell, side, list(named)] = SURE
    return {"s": score, "d": bins.reshape(1, rows * columns, -1)}


def nanodet(**options):
    return NanoDet(
        scores=("s",), distances=("d",), **{"strides": (8,), "size": (16, 16), **options}
    )


def test_a_cell_of_nanodet_by_hand():
    """Cell 3 of 2 x 2 lies at column 1, row 1; its centre is at 1.5 x 8 = 12."""
    outputs = nanodet_outputs((2, 2), 3, scores=[0, 0.9], sides=[[1], [0], [0, 1], [3]])

    (found,) = nanodet()(outputs, min_score=0.5)

    # left 1 x 8, top 0, right the mean of bins 0 and 1: 4, bottom 3 x 8
    ((box, score, class_id),) = rows_of(found)
    assert box == pytest.approx([4, 12, 16, 36], abs=1e-4)
    assert (score, class_id) == (0.9, 1)


def test_cells_of_a_wide_input_are_counted_along_its_rows():
    """An input of 16 x 32 has 4 columns: cell 5 lies at column 1, row 1."""
    outputs = nanodet_outputs((2, 4), 5, scores=[0.9], sides=[[0]] * 4)

    (found,) = nanodet(size=(16, 32))(outputs, min_score=0.5)

    assert found.boxes_xyxy.tolist() == [pytest.approx([12, 12, 12, 12], abs=1e-4)]


def test_a_size_that_no_stride_divides_has_a_last_column_cut_short():
    """An input of 20 x 20 has 3 columns at stride 8: cell 4 lies at column 1, row 1."""
    outputs = nanodet_outputs((3, 3), 4, scores=[0.9], sides=[[0]] * 4)

    (found,) = nanodet(size=(20, 20))(outputs, min_score=0.5)

    assert found.boxes_xyxy.tolist() == [pytest.approx([12, 12, 12, 12], abs=1e-4)]


def test_a_cell_may_speak_for_several_classes():
    outputs = nanodet_outputs((2, 2), 0, scores=[0.7, 0.1, 0.6], sides=[[0], [0], [1], [1]])

    (found,) = nanodet()(outputs, min_score=0.5)

    assert [(score, class_id) for _, score, class_id in rows_of(found)] == [(0.7, 0), (0.6, 2)]
    assert found.boxes_xyxy[0].tolist() == found.boxes_xyxy[1].tolist()


def test_levels_are_joined_each_with_its_stride():
    fine = nanodet_outputs((2, 2), 0, scores=[0.9], sides=[[0], [0], [1], [1]])
    coarse = nanodet_outputs((1, 1), 0, scores=[0.8], sides=[[0], [0], [1], [1]])
    head = NanoDet(("s8", "s16"), ("d8", "d16"), strides=(8, 16), size=(16, 16))

    (found,) = head(
        {"s8": fine["s"], "s16": coarse["s"], "d8": fine["d"], "d16": coarse["d"]}, min_score=0.5
    )

    assert found.boxes_xyxy == pytest.approx(f32([[4, 4, 12, 12], [8, 8, 24, 24]]), abs=1e-4)
    assert found.scores == pytest.approx(f32([0.9, 0.8]))


def test_each_image_of_a_batch_has_its_own_candidates():
    one = nanodet_outputs((2, 2), 0, scores=[0.9], sides=[[0]] * 4)
    none = nanodet_outputs((2, 2), 0, scores=[0.1], sides=[[0]] * 4)

    found = nanodet()({k: np.concatenate([none[k], one[k]]) for k in one}, min_score=0.5)

    assert [len(f.scores) for f in found] == [0, 1]
    assert rows_of(found[0]) == []


# --- several heads -------------------------------------------------------------------------------

CARS = f32([[[1, 2, 3, 4, 0.5, 7], [5, 6, 7, 8, 0.9, 2]], [[9, 9, 9, 9, 0.8, 2]] * 2])
SIGNS = f32([[[0, 0, 2, 2, 0.7, 0]], [[0, 0, 3, 3, 0.2, 0]]])


def test_each_head_has_classes_of_its_own_and_others_are_left_out():
    head = SeveralHeads(
        (
            {"kind": "XyxyScoreClass", "output": "cars", "classes": {2: 0}},
            {"kind": "XyxyScoreClass", "output": "signs", "classes": {0: 1}},
        )
    )

    first, second = head({"cars": CARS, "signs": SIGNS}, min_score=0.3)

    assert rows_of(first) == [([5, 6, 7, 8], 0.9, 0), ([0, 0, 2, 2], 0.7, 1)]
    assert rows_of(second) == [([9, 9, 9, 9], 0.8, 0)] * 2


def test_scores_of_a_head_that_is_too_sure_are_lowered_and_then_held_against_the_least():
    part = {"kind": "XyxyScoreClass", "output": "signs", "classes": {0: 1}, "power": 2}

    first, second = SeveralHeads((part,))({"signs": SIGNS}, min_score=0.4)
    (none, _) = SeveralHeads((part,))({"signs": SIGNS}, min_score=0.5)

    assert rows_of(first) == [([0, 0, 2, 2], 0.49, 1)]
    assert rows_of(second) == rows_of(none) == []


def test_a_power_that_cannot_be_is_refused():
    part = {"kind": "XyxyScoreClass", "classes": {0: 0}, "power": 0}
    with pytest.raises(CardError, match="`power` of a part of SeveralHeads is above 0; got 0"):
        SeveralHeads((part,))


def test_heads_that_could_find_nothing_are_refused():
    with pytest.raises(CardError, match="`parts` of SeveralHeads are one or more heads; got none"):
        SeveralHeads(())
    with pytest.raises(CardError, match=r"a part of SeveralHeads has `classes`, .*; got None"):
        SeveralHeads(({"kind": "XyxyScoreClass"},))


def test_a_part_without_a_kind_is_refused():
    part = {"output": "x", "classes": {0: 0}}
    with pytest.raises(CardError, match=r"`head` needs a `kind`; got {'output': 'x'}"):
        SeveralHeads((part,))({"x": SIGNS}, min_score=0.5)
