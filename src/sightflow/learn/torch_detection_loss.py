"""How far what a detection head says is from the objects that are there.

Cells are the places of all strides, one after the other, A in all; each speaks for the objects
about it. Which cells are to speak for an object is decided by how well they do so already.

Source:
    Feng et al., "TOOD: Task-aligned One-stage Object Detection", ICCV 2021: the choice of cells;
    Li et al., "Generalized Focal Loss", NeurIPS 2020: quality as target, sides as distributions;
    Zhang et al., "VarifocalNet", CVPR 2021: weights; Rezatofighi et al., "Generalized Intersection
    over Union", CVPR 2019: boxes.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sightflow.learn.torch_modules import pytorch

__all__ = ["Cells", "boxes_of", "cells_of", "detection_loss"]

_N_CELLS = 10
"""Cells that are to speak for an object, at most."""
_SHARPNESS = 4
"""How much the overlap counts against the score when cells are chosen."""
_MAX_SIDE = 18
"""An object longer than so many strides is too large for a cell."""
_BOX_WEIGHT, _SIDE_WEIGHT, _ABSENT_WEIGHT = 2.0, 0.5, 0.75
_IGNORED, _NONE = -1, -2
"""Classes of an object that is ignored, and of a row that is none."""
_TINY = 1e-6


class Cells(NamedTuple):
    """The places that speak for objects."""

    centres: Any
    """float32 [A, 2] x, y in pixels of the input."""
    strides: Any
    """float32 [A] in pixels."""


class _Targets(NamedTuple):
    """What cells are to say."""

    chosen: Any
    """bool [B, A]: whether it is to speak for an object."""
    counts: Any
    """bool [B, A]: whether it matters what it says; not where something is ignored."""
    quality: Any
    """float32 [B, A]: the score that it is to give."""
    boxes: Any
    """float32 [B, A, 4] of its object."""
    class_ids: Any
    """int64 [B, A] of its object."""


def cells_of(size: tuple[int, int], strides: Sequence[int]) -> Cells:
    """Return the cells of an input of (height, width), row by row, stride after stride."""
    torch = pytorch()
    centres, of_cells = [], []
    for stride in strides:
        rows, columns = (-(-side // stride) for side in size)
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        centres.append((torch.stack([x, y], dim=-1).reshape(-1, 2) + 0.5) * stride)
        of_cells.append(torch.full((rows * columns,), float(stride)))
    return Cells(torch.cat(centres), torch.cat(of_cells))


def boxes_of(sides: Any, cells: Cells) -> Any:
    """Return boxes float32 [B, A, 4] of side logits [B, A, 4 x bins]: left, top, right, bottom."""
    torch = pytorch()
    bins = sides.unflatten(-1, (4, -1)).softmax(-1)
    away = (bins * torch.arange(bins.shape[-1])).sum(-1) * cells.strides[:, None]
    return torch.cat([cells.centres - away[..., :2], cells.centres + away[..., 2:]], dim=-1)


def detection_loss(logits: Any, sides: Any, cells: Cells, objects: Sequence[Any]) -> Any:
    """Return the loss of a batch, for each object that is there.

    Args:
        logits: float32 [B, A, classes].
        sides: float32 [B, A, 4 x bins].
        cells: A of them.
        objects: of each of B inputs, float32 [N, 5]: x1, y1, x2, y2, class, -1 where it is ignored.
    """
    torch = pytorch()
    boxes = boxes_of(sides, cells)
    rows = torch.nn.utils.rnn.pad_sequence(objects, batch_first=True, padding_value=_NONE)
    with torch.no_grad():
        targets = _targets(logits.sigmoid(), boxes, cells, rows)
    total = targets.quality.sum().clamp(min=1)
    loss = _class_loss(logits, targets)
    if targets.chosen.any():
        weights = targets.quality[targets.chosen]
        shared = _overlap(boxes[targets.chosen], targets.boxes[targets.chosen], generalised=True)
        loss = loss + _BOX_WEIGHT * ((1 - shared) * weights).sum()
        loss = loss + _SIDE_WEIGHT * (_side_loss(sides, cells, targets) * weights).sum()
    return loss / total


def _targets(scores: Any, boxes: Any, cells: Cells, objects: Any) -> _Targets:
    """Choose cells for objects [B, N, 5], for scores [B, A, classes] and boxes as they are."""
    torch = pytorch()
    n_images, n_cells, _ = scores.shape
    if objects.shape[1] == 0:
        nothing = torch.zeros(n_images, n_cells)
        whole = torch.zeros(n_images, n_cells, 4)
        return _Targets(nothing > 0, nothing == 0, nothing, whole, nothing.long())
    class_ids, wanted = objects[..., 4].long(), objects[..., :4]
    near, within = _near(cells, wanted)
    ignored = (within & (class_ids == _IGNORED)[..., None]).any(dim=1)
    allowed = near & (class_ids >= 0)[..., None]
    columns = class_ids.clamp(min=0)[:, None].expand(-1, n_cells, -1)
    own = scores.gather(2, columns).transpose(1, 2)  # [B, N, A]
    shared = _overlap(boxes[:, None], wanted[:, :, None])
    fit = own.clamp(min=_TINY) * shared.clamp(min=_TINY) ** _SHARPNESS * allowed
    best = fit.topk(min(_N_CELLS, n_cells), dim=-1)
    chosen = torch.zeros_like(allowed).scatter_(2, best.indices, best.values > 0) & allowed
    of_cell = torch.where(chosen, shared, -1.0).argmax(dim=1, keepdim=True)  # [B, 1, A]
    is_chosen = chosen.gather(1, of_cell).squeeze(1)
    # The best cell of an object is to give its own overlap as score, others less in proportion.
    scale = (shared * allowed).amax(-1) / fit.amax(-1).clamp(min=_TINY**_SHARPNESS)
    quality = (fit * scale[..., None]).gather(1, of_cell).squeeze(1)
    rows = of_cell.squeeze(1)
    return _Targets(
        is_chosen,
        is_chosen | ~ignored,
        torch.where(is_chosen, quality, 0.0),
        wanted.gather(1, rows[..., None].expand(-1, -1, 4)),
        class_ids.gather(1, rows),
    )


def _near(cells: Cells, boxes: Any) -> tuple[Any, Any]:
    """Return whether cells [A] may speak for boxes [B, N, 4], and whether they lie within them.

    Those within a box may, or beside the middle of a small one, where it is not too large for them.
    """
    centres = cells.centres
    within = ((centres > boxes[..., None, :2]) & (centres < boxes[..., None, 2:])).all(-1)
    middles = (boxes[..., :2] + boxes[..., 2:]) / 2
    beside = ((centres - middles[..., None, :]).abs() < cells.strides[:, None]).all(-1)
    longest = (boxes[..., 2:] - boxes[..., :2]).amax(-1)
    return (within | beside) & (longest[..., None] < cells.strides * _MAX_SIDE), within


def _class_loss(logits: Any, targets: _Targets) -> Any:
    """Return the sum over all cells that matter; it is to be told by how much a cell is right."""
    torch = pytorch()
    wanted = torch.zeros_like(logits)
    of_chosen = torch.nn.functional.one_hot(targets.class_ids[targets.chosen], logits.shape[-1])
    wanted[targets.chosen] = of_chosen * targets.quality[targets.chosen][:, None]
    said = logits.sigmoid()
    weights = torch.where(wanted > 0, (wanted - said).abs() ** 2, _ABSENT_WEIGHT * said**2)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (loss * weights * targets.counts[..., None]).sum()


def _side_loss(sides: Any, cells: Cells, targets: _Targets) -> Any:
    """Return float32 [chosen cells]: how far the distributions of sides are from the right bins."""
    torch = pytorch()
    chosen = targets.chosen
    bins = sides[chosen].unflatten(-1, (4, -1)).log_softmax(-1)
    centres = cells.centres.expand(len(chosen), -1, -1)[chosen]
    strides = cells.strides.expand(len(chosen), -1)[chosen]
    boxes = targets.boxes[chosen]
    away = torch.cat([centres - boxes[:, :2], boxes[:, 2:] - centres], dim=-1) / strides[:, None]
    away = away.clamp(0, bins.shape[-1] - 1.01)
    lower = away.floor().long()
    upper_part = away - lower
    at_lower = bins.gather(2, lower[..., None]).squeeze(-1)
    at_upper = bins.gather(2, lower[..., None] + 1).squeeze(-1)
    return -(at_lower * (1 - upper_part) + at_upper * upper_part).mean(-1)


def _overlap(one: Any, other: Any, *, generalised: bool = False) -> Any:
    """Return the intersection over union of boxes [..., 4], pair by pair.

    Generalised, it is less the farther apart they are: in [-1, 1].
    """
    torch = pytorch()

    def area(low: Any, high: Any) -> Any:
        return (high - low).clamp(min=0).prod(-1)

    shared = area(
        torch.maximum(one[..., :2], other[..., :2]), torch.minimum(one[..., 2:], other[..., 2:])
    )
    union = area(one[..., :2], one[..., 2:]) + area(other[..., :2], other[..., 2:]) - shared
    found = shared / union.clamp(min=_TINY)
    if not generalised:
        return found
    hull = area(
        torch.minimum(one[..., :2], other[..., :2]), torch.maximum(one[..., 2:], other[..., 2:])
    ).clamp(min=_TINY)
    return found - (hull - union) / hull
