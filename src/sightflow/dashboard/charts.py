"""Curves of a training, as plain data that a page draws."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sightflow.dashboard.learning import Learning, Placed

__all__ = ["Chart", "Curve", "Mark", "curves_of"]

_MAX_POINTS = 2_000


@dataclass(frozen=True)
class Curve:
    """A line of a chart, or single points."""

    label: str
    x: Sequence[float]
    y: Sequence[float | None]
    """None: there is no number."""
    scale: str
    """Name of the axis."""
    colour: str
    """Name of a colour of the page."""
    points: bool = False
    """Whether each value is a point of its own, without a line."""
    bars: bool = False
    """Whether each value is a bar."""
    steps: bool = False
    """Whether a value lasts until the next one."""


@dataclass(frozen=True)
class Mark:
    """Something that happened, at one place of the axis."""

    x: float
    kind: str
    """`drifted` or `published`."""


@dataclass(frozen=True)
class Chart:
    """Curves over the number of images, or over something else."""

    title: str
    curves: Sequence[Curve]
    marks: Sequence[Mark] = ()
    axis: str = "images"
    """What `x` is: `images`, `time` (seconds since 1970), `video` (seconds since its start), or
    `score`."""
    step: float = 0.0
    """Distance of two bars, as `x` is."""
    height: int = 300
    """Pixels; a low chart has no legend."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def curves_of(learning: Learning) -> list[Chart]:
    """Return the charts of a run: accuracy, objects and loss, each where there is one."""
    marks = tuple(
        Mark(_short(placed.n_images) or 0.0, placed.kind)
        for kind in ("drifted", "published")
        for placed in learning.of(kind)
    )
    charts = [
        Chart("Accuracy", tuple(_accuracy(learning.of_classes)), marks),
        Chart("Objects", tuple(_objects(learning.of_objects)), marks),
        Chart("Loss and learning rate", tuple(_loss(learning.of_classes)), marks),
    ]
    return [chart for chart in charts if chart.curves]


def _accuracy(learning: Learning) -> Iterable[Curve]:
    for step, events in _by_step(learning.of("evaluated")).items():
        yield from _curve(f"window{step}", events, "window_accuracy", "share", "--first")
        yield from _curve(f"since the start{step}", events, "accuracy", "share", "--second")
    for step, events in _by_step(learning.of("tested")).items():
        yield from _curve(f"tests{step}", events, "accuracy", "share", "--third", points=True)


def _objects(learning: Learning) -> Iterable[Curve]:
    for step, events in _by_step(learning.of("evaluated")).items():
        yield from _curve(f"mAP@0.5{step}", events, "map_50", "share", "--third")
        yield from _curve(f"mAP{step}", events, "map", "share", "--right")
        yield from _curve(f"precision{step}", events, "precision", "share", "--first")
        yield from _curve(f"recall{step}", events, "recall", "share", "--second")
    for step, events in _by_step(learning.of("tested")).items():
        label = f"mAP@0.5 of tests{step}"
        yield from _curve(label, events, "map_50", "share", "--third", points=True)


def _loss(learning: Learning) -> Iterable[Curve]:
    trained = _by_step(learning.of("trained"))
    for step, events in trained.items():
        yield from _curve(f"loss{step}", events, "loss", "loss", "--first")
    for step, events in _by_step(learning.of("tested")).items() if trained else ():
        yield from _curve(
            f"loss in tests{step}", events, "log_loss", "loss", "--third", points=True
        )
    for step, events in trained.items():
        yield from _curve(f"learning rate{step}", events, "rate", "rate", "--second")


def _by_step(events: Sequence[Placed]) -> dict[str, list[Placed]]:
    """Return the events by how the name of their step is told: not at all if it is the only one."""
    steps = list(dict.fromkeys(event.step for event in events))
    return {
        f" ({step})" if len(steps) > 1 else "": [e for e in events if e.step == step]
        for step in steps
    }


def _curve(
    label: str,
    events: Sequence[Placed],
    figure: str,
    scale: str,
    colour: str,
    *,
    points: bool = False,
) -> Iterable[Curve]:
    """Yield the curve of a figure, if any event has it."""
    there = [event for event in events if figure in event.figures]
    if not there:
        return
    every = -(-len(there) // _MAX_POINTS)
    shown = there[::-1][::every][::-1]  # the last is always there
    x = [_short(event.n_images) or 0.0 for event in shown]
    yield Curve(label, x, [_short(e.figures[figure]) for e in shown], scale, colour, points)


def _short(value: float | None) -> float | None:
    """Return a number with as many digits as can be seen."""
    return None if value is None else float(f"{value:.7g}")
