"""The check of steps without a state."""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sightflow.pipeline import Pipeline
from sightflow.protocols import Context, Inference, Operator, Process
from sightflow.records import (
    Classification,
    Detections,
    Faces,
    ImageRecord,
    Outcome,
    Rejected,
    Scene,
    rejected_row,
    result_row,
    to_json,
)
from sightflow.sources.directory import Directory
from sightflow.testing.builders import a_context, a_record, an_origin, draw_scene
from sightflow.testing.descriptions import check_description, sent

__all__ = ["check_operator", "content_of"]

_SIZES = ((640, 480), (1, 1), (20_000, 10), (10, 20_000), (8_000, 6_000))
_KEPT = {"origin", "width", "height", "pixels", "models"}
_FILLED = tuple(field.name for field in fields(ImageRecord) if field.name not in _KEPT)
"""Fields of a record that steps fill; any may add to `models`."""


def check_operator(
    operator: Operator,
    pictures: Sequence[npt.NDArray[np.uint8]] = (),
    *,
    tolerance: float = 0.0,
) -> list[Outcome]:
    """Raise AssertionError unless the operator keeps the promises of `protocols.Operator`.

    Args:
        operator: it must not reject all of the pictures.
        pictures: uint8 [H, W, 3] RGB, at least two; without them drawn ones of several sizes.
        tolerance: by how much a number may differ in another batch, as a part of 1. Sightflow's own
            need none; a library may add in another order when it multiplies other matrices.

    Returns:
        What became of each picture.
    """
    check_description(operator, lambda o: Pipeline(Directory("photos")).apply("step", o))
    operator.check()
    for width, height in _SIZES:
        scale = operator.scale_for(width, height)
        assert 0 < scale <= 1, f"scale_for({width}, {height}) must be in (0, 1]; got {scale}"
    records = _records(operator, pictures)
    assert len(records) > 1, f"a check needs two pictures or more; got {len(records)}"
    before = [record.pixels.copy() for record in records]
    context = replace(a_context(), inference=Inference(device="cpu"))
    with context.resources:
        process = sent(operator).open(context)
        outcomes = process(records)
        assert isinstance(outcomes, list | tuple), f"outcomes come in a list; got {outcomes!r}"
        outcomes = list(outcomes)
        _check_outcomes(operator, context, records, outcomes)
        _check_batches(process, records, outcomes, tolerance)
    for record, pixels in zip(records, before, strict=True):
        assert np.array_equal(record.pixels, pixels), "records must not be changed in place"
    gives = getattr(operator, "gives", ())
    missing = [name for name in gives if all(_filled(o, name) is None for o in outcomes)]
    assert len(missing) < len(gives) or not gives, (
        f"`gives` is {gives}, and no picture came out with any of it"
    )
    columns = [name for name in missing if "." in name]
    assert not columns, f"`gives` is {gives}, and no picture came out with {columns}"
    return outcomes


def _filled(outcome: Outcome, name: str) -> Any:
    """Return a field of a record, or a column of one such as `faces.embeddings`."""
    field, _, column = name.partition(".")
    found = getattr(outcome, field, None)
    return getattr(found, column, None) if column else found


def _records(operator: Operator, pictures: Sequence[npt.NDArray[np.uint8]]) -> list[ImageRecord]:
    """Return records with what the operator needs; of the drawn ones, the last was shrunk."""
    drawn = [draw_scene(64, 48), draw_scene(300, 40), draw_scene(), draw_scene(boxes=())]
    records = [a_record(pixels) for pixels in pictures or drawn]
    if not pictures:
        records.append(a_record(draw_scene(160, 120), width=320, height=240))
    needs = [name.partition(".")[0] for name in getattr(operator, "needs", ())]
    unknown = sorted(set(needs) - set(_EXAMPLES))
    assert not unknown, f"stateless steps need what others give: {sorted(_EXAMPLES)}; got {unknown}"
    needed = {name: _EXAMPLES[name] for name in needs}
    origins = [
        an_origin(uri=f"photos/{i}.jpg", sequence=i, name=f"{i}.jpg") for i in range(len(records))
    ]
    return [
        replace(record, origin=origin, **needed)
        for record, origin in zip(records, origins, strict=True)
    ]


def _check_outcomes(
    operator: Operator,
    context: Context,
    records: Sequence[ImageRecord],
    outcomes: Sequence[Outcome],
) -> None:
    """Raise AssertionError unless each record became an outcome of its own that can be written."""
    assert [o.origin for o in outcomes] == [r.origin for r in records], "one outcome each, in order"
    assert any(isinstance(outcome, ImageRecord) for outcome in outcomes), (
        "it rejects every picture, so nothing was checked: give `pictures` that it takes; "
        f"got {outcomes[0]}"
    )
    gives = getattr(operator, "gives", _FILLED)
    for record, outcome in zip(records, outcomes, strict=True):
        if isinstance(outcome, Rejected):
            assert outcome.step == context.step, "what is rejected names the step: `context.step`"
            assert outcome.reason, "what is rejected has a reason"
            to_json(rejected_row(outcome))
            continue
        filled = [n for n in _FILLED if getattr(outcome, n) is not getattr(record, n)]
        assert set(filled) <= set(gives), f"`gives` is {gives}; it filled {filled}"
        size, given = (outcome.width, outcome.height), (record.width, record.height)
        assert size == given, "`width` and `height` are those of the original"
        to_json(result_row(outcome))


def _check_batches(
    process: Process,
    records: Sequence[ImageRecord],
    outcomes: Sequence[Outcome],
    tolerance: float,
) -> None:
    """Raise AssertionError unless each record has the same outcome in any batch."""
    alone = [outcome for record in records for outcome in process([record])]
    backwards = list(process(records[::-1]))[::-1]
    for how, others in (("alone", alone), ("in another order", backwards)):
        assert len(others) == len(outcomes), f"one outcome each; {how} there are {len(others)}"
        for one, other in zip(map(content_of, outcomes), map(content_of, others), strict=True):
            differing = [k for k in one | other if not _same(one.get(k), other.get(k), tolerance)]
            assert not differing, (
                f"batches must not matter; {how}, {one['uri']} has other {', '.join(differing)}: "
                f"{[other.get(name) for name in differing]}"
            )


def _same(one: Any, other: Any, tolerance: float) -> bool:
    """Return whether values are equal, numbers in them as nearly as asked."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        keys = one.keys() | other.keys()
        return all(_same(one.get(key), other.get(key), tolerance) for key in keys)
    if isinstance(one, list):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(_same(a, b, tolerance) for a, b in pairs)
    if isinstance(one, np.ndarray) and (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    if isinstance(one, np.ndarray | float):
        return bool(np.allclose(one, other, rtol=tolerance, atol=tolerance))
    return bool(one == other)


def content_of(outcome: Outcome) -> dict[str, Any]:
    """Return all that a step said of an image: its row, and the arrays that are in none."""
    if isinstance(outcome, Rejected):
        return rejected_row(outcome)
    arrays = {name: getattr(outcome, name) for name in ("prepared", "features")}
    return {**result_row(outcome), **{k: v for k, v in arrays.items() if v is not None}}


def _best(labels: Iterable[str]) -> Classification:
    names = tuple(labels)
    scores = np.linspace(0.75, 0.25, len(names)).astype(np.float32)
    return Classification(names, np.arange(len(names), dtype=np.int32), scores)


_EXAMPLES: dict[str, Any] = {
    "classification": _best("ab"),
    "shadow": _best("ab"),
    "scene": Scene(("street",), np.ones(1, np.float32)),
    "detections": Detections(
        np.array([[4, 6, 20, 30]], np.float32),
        np.full(1, 0.75, np.float32),
        np.zeros(1, np.int32),
        ("person",),
    ),
    "faces": Faces(
        np.array([[4, 6, 28, 34], [40, 8, 52, 24]], np.float32),
        np.array([0.9, 0.75], np.float32),
        np.array(
            [
                [[11, 16], [21, 16], [16, 22], [12, 28], [20, 28]],
                [[43, 13], [49, 13], [46, 16], [43, 20], [49, 20]],
            ],
            np.float32,
        ),
        np.array([[0.6, 0.8], [1, 0]], np.float32),
    ),
    "prepared": np.full((8, 8, 3), 128, np.uint8),
    "features": np.linspace(0, 1, 8).astype(np.float32),
}
"""What earlier steps may have said, for operators with `needs`."""
