"""Which cells are to speak for objects, and what they lose by saying something else."""

import math

import pytest
from tests.pytorch import require_pytorch

torch = require_pytorch()

from sightflow.learn.torch_detection_loss import (  # noqa: E402
    boxes_of,
    cells_of,
    detection_loss,
)

N_BINS = 9
CELLS = cells_of((64, 64), [8, 16])
"""8 x 8 cells, then 4 x 4."""


def sides_for(box: tuple[float, ...], sharpness: float = 20.0) -> "torch.Tensor":
    """Return side logits [1, A, 4 x bins] by which each cell says this box, as far as it can."""
    x1, y1, x2, y2 = box
    x, y = CELLS.centres.T
    away = torch.stack([x - x1, y - y1, x2 - x, y2 - y], dim=-1) / CELLS.strides[:, None]
    bins = torch.arange(N_BINS)
    near = (1 - (away.clamp(0, N_BINS - 1)[..., None] - bins).abs()).clamp(min=0)
    return (near.clamp(min=math.exp(-sharpness)).log()).flatten(1)[None]


def logits(of_class: dict[int, float], rest: float = -12.0) -> "torch.Tensor":
    """Return class logits [1, A, 2] of all cells."""
    given = torch.full((1, len(CELLS.centres), 2), rest)
    for class_id, value in of_class.items():
        given[..., class_id] = value
    return given


def objects(*rows: tuple[float, ...]) -> "torch.Tensor":
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 5)


BOX = (20.0, 12.0, 44.0, 36.0)
INSIDE = ((CELLS.centres > torch.tensor(BOX[:2])) & (CELLS.centres < torch.tensor(BOX[2:]))).all(-1)
"""Whether the middle of a cell is in the box."""


def test_cells_lie_in_rows_stride_after_stride() -> None:
    assert CELLS.centres[:2].tolist() == [[4, 4], [12, 4]]
    assert CELLS.centres[8].tolist() == [4, 12]
    assert CELLS.centres[64].tolist() == [8, 8]
    assert CELLS.strides.tolist() == [8.0] * 64 + [16.0] * 16


def test_a_box_is_the_mean_of_its_bins_in_strides_from_the_cell() -> None:
    boxes = boxes_of(sides_for(BOX), CELLS)
    inside = ((CELLS.centres > 20) & (CELLS.centres < 36)).all(-1)
    assert boxes[0][inside] == pytest.approx(torch.tensor(BOX).expand(inside.sum(), 4), abs=0.01)


def test_what_is_right_costs_next_to_nothing_and_silence_much() -> None:
    wanted = [objects((*BOX, 1))]
    right = logits({1: -12.0})
    right[0, INSIDE, 1] = 12.0
    low = detection_loss(right, sides_for(BOX), CELLS, wanted)
    silent = detection_loss(logits({}), sides_for(BOX), CELLS, wanted)
    other_class = detection_loss(right.flip(-1), sides_for(BOX), CELLS, wanted)
    assert low < 0.2
    assert silent > 5 * low
    assert other_class > 5 * low


def test_a_box_in_another_place_costs() -> None:
    wanted = [objects((*BOX, 1))]
    said = logits({1: 2.0})
    near = detection_loss(said, sides_for(BOX), CELLS, wanted)
    beside = detection_loss(said, sides_for((28.0, 20.0, 52.0, 44.0)), CELLS, wanted)
    assert beside > near + 0.5


def test_without_objects_only_what_is_said_costs() -> None:
    nothing = [objects()]
    assert detection_loss(logits({}), sides_for(BOX), CELLS, nothing) < 1e-6
    assert detection_loss(logits({0: 3.0}), sides_for(BOX), CELLS, nothing) > 10


def test_where_something_is_ignored_it_does_not_matter_what_is_said() -> None:
    said = logits({})
    said[0, INSIDE, 0] = 5.0
    assert detection_loss(said, sides_for(BOX), CELLS, [objects()]) > 5
    assert detection_loss(said, sides_for(BOX), CELLS, [objects((*BOX, -1))]) < 1e-6


def test_images_of_a_batch_may_have_different_numbers_of_objects() -> None:
    both = torch.cat([logits({1: 1.0})] * 2)
    sides = torch.cat([sides_for(BOX)] * 2)
    second = (2.0, 40.0, 14.0, 60.0)
    loss = detection_loss(both, sides, CELLS, [objects((*BOX, 1), (*second, 0)), objects()])
    assert math.isfinite(loss)


@pytest.mark.parametrize(
    "other",
    [(46.0, 44.0, 62.0, 60.0), (49.0, 45.0, 55.0, 51.0)],
    ids=["as large as cells", "with no middle of a cell in it"],
)
def test_following_its_gradients_finds_two_objects_of_two_classes(other: tuple) -> None:
    torch.manual_seed(0)
    wanted = [objects((*BOX, 1), (*other, 0))]
    given = torch.full((1, len(CELLS.centres), 2), -4.6, requires_grad=True)
    sides = torch.zeros(1, len(CELLS.centres), 4 * N_BINS, requires_grad=True)
    descent = torch.optim.Adam([given, sides], 0.2)
    for _ in range(80):
        descent.zero_grad()
        detection_loss(given, sides, CELLS, wanted).backward()
        descent.step()
    scores, boxes = given.sigmoid().detach()[0], boxes_of(sides, CELLS).detach()[0]
    for x1, y1, x2, y2, class_id in wanted[0].tolist():
        best = int(scores[:, int(class_id)].argmax())
        assert scores[best, int(class_id)] > 0.6
        assert boxes[best].tolist() == pytest.approx([x1, y1, x2, y2], abs=1.1)
