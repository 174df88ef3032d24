"""A page that shows how well faces are told apart on somebody's pictures, and which threshold fits.

Its charts are drawn here, as SVG: the page needs no script.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, log10
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sightflow.dashboard.page import tile, write_page
from sightflow.metrics.verification import OperatingPoint, VerificationFigures
from sightflow.records import REASONS

__all__ = ["CalibrationReport", "write_verification_report"]

Scores: TypeAlias = npt.NDArray[np.float32]
Ratios: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]

_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 700, 10, 300
"""Where the charts are, in units of the drawing."""
_LOWEST_FAR = 1e-4
_CLOSE = 0.6
"""The end of the axis has a tick of its own unless it is nearer to the last one."""
_BINS_PER_TENTH = 5
_DECIMALS = 4
"""Of thresholds."""


@dataclass(frozen=True, eq=False)
class CalibrationReport:
    """What the page tells."""

    title: str
    figures: VerificationFigures
    threshold: float
    """The one that is proposed, a cosine."""
    n_people: int
    n_pictures: int
    """Those whose faces were compared."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """How many pictures were not, by reason: a word of `records.REASONS`, or another one."""
    fars: Sequence[float] = (1e-2, 1e-3)
    """False accept rates, in (0, 1], that get a row each."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What else is to be told, by name: the folder of pictures, the model."""


def write_verification_report(path: Path, report: CalibrationReport) -> None:
    """Write one HTML file that needs no other file, no network and no script.

    Args:
        path: the HTML file; it appears when it is complete.
        report: what it tells.

    Raises:
        MetricsError: one of `fars` is not in (0, 1].
    """
    chosen = report.figures.at_threshold(report.threshold)
    write_page(
        path,
        "verification.html",
        title=report.title,
        lead=_lead(chosen),
        tiles=_tiles(report.figures, chosen),
        rows=list(_rows(report, chosen)),
        lowest=_percent(1 / report.figures.n_different),
        counts=_counts(report),
        rejected=[(reason, n, REASONS.get(reason, "")) for reason, n in report.rejected.items()],
        facts=report.facts,
        roc=_roc(report, chosen),
        scores=_histograms(report),
        frame={"left": _LEFT, "right": _RIGHT, "top": _TOP, "bottom": _BOTTOM},
    )


def _lead(chosen: OperatingPoint) -> str:
    return (
        f"With a threshold of {_threshold(chosen.threshold)}, {_percent(chosen.tar)} of the pairs "
        f"of the same person are recognised, and {_percent(chosen.far)} of the pairs of different "
        "people are taken for one person."
    )


def _tiles(figures: VerificationFigures, chosen: OperatingPoint) -> list[dict[str, str]]:
    """Return the figures that are seen first."""
    where = f"at {_threshold(figures.eer_threshold)}"
    return [
        tile("threshold", _threshold(chosen.threshold), "cosine, at least"),
        tile("true accepts", _percent(chosen.tar), f"of {figures.n_same:,} pairs"),
        tile("false accepts", _percent(chosen.far), f"of {figures.n_different:,} pairs"),
        tile("equal error rate", _percent(figures.eer), where),
    ]


def _rows(report: CalibrationReport, chosen: OperatingPoint) -> Iterator[dict[str, str]]:
    """Yield the operating points of the table; one that cannot be told says why."""
    figures = report.figures
    yield _row("the threshold that is proposed", chosen)
    at_equal = OperatingPoint(figures.eer_threshold, figures.eer, 1 - figures.eer)
    yield _row("equal error rate", at_equal)
    for far in report.fars:
        name, point = f"false accepts at most {_percent(far)}", figures.at(far)
        if point is None:
            there = f"there are {figures.n_different:,}"
            why = f"not enough pairs: it takes {ceil(1 / far):,} of different people, {there}"
            yield {"name": name, "why": why}
        else:
            yield _row(name, point)


def _row(name: str, point: OperatingPoint) -> dict[str, str]:
    rates = {"far": _percent(point.far), "tar": _percent(point.tar)}
    return {"name": name, "why": "", **rates, "threshold": _threshold(point.threshold)}


def _counts(report: CalibrationReport) -> dict[str, str]:
    counts = {
        "people": report.n_people,
        "pictures compared": report.n_pictures,
        "pictures rejected": sum(report.rejected.values()),
        "pairs of the same person": report.figures.n_same,
        "pairs of different people": report.figures.n_different,
    }
    return {name: f"{n:,}" for name, n in counts.items()}


def _threshold(value: float) -> str:
    """Return a threshold with few digits, rounded so that it accepts no more than it does."""
    shown = round(value, _DECIMALS)
    if np.float32(shown) < np.float32(value):
        shown += 10.0**-_DECIMALS
    return f"{shown:.{_DECIMALS}f}"


def _percent(share: float) -> str:
    """Return a share in percent: four digits, and never 100 for less than all."""
    return f"{min(100 * share, 99.99) if share < 1 else 100:.4g} %"


def _roc(report: CalibrationReport, chosen: OperatingPoint) -> dict[str, Any]:
    """Return the curve, as steps: between two points nothing was measured."""
    figures, curve = report.figures, report.figures.curve
    low = min(0.1, max(1 / figures.n_different, min([_LOWEST_FAR, *report.fars])))
    shown = curve.far >= low
    points = [
        OperatingPoint(threshold, far, tar)
        for threshold, far, tar in zip(
            *(column[shown].tolist() for column in (curve.threshold, curve.far, curve.tar)),
            strict=True,
        )
    ]
    steps = "".join(f"H{_at_far(p.far, low)}V{_at_tar(p.tar)}" for p in points)
    ticks = [10.0**-i for i in range(floor(-log10(low) + 1e-9) + 1)]
    if low < _CLOSE * ticks[-1]:
        ticks.append(low)
    return {
        "path": f"M{_LEFT} {_at_tar(curve.tar[~shown].max())}{steps}",
        "points": [_dot(point, low) for point in points],
        "chosen": _dot(chosen, low),
        "x_ticks": [(_at_far(far, low), _percent(far)) for far in ticks],
        "y_ticks": [(_at_tar(i / 5), _percent(i / 5)) for i in range(6)],
    }


def _dot(point: OperatingPoint, low: float) -> dict[str, Any]:
    rates = f"{_percent(point.far)} false accepts, {_percent(point.tar)} true accepts"
    title = f"threshold {_threshold(point.threshold)}: {rates}"
    return {"x": _at_far(point.far, low), "y": _at_tar(point.tar), "title": title}


def _at_far(far: float, low: float) -> float:
    """Return the place of a rate on the logarithmic axis; what is below `low` is at its end."""
    return round(_RIGHT - (_RIGHT - _LEFT) * log10(max(far, low)) / log10(low), 1)


def _at_tar(tar: float) -> float:
    return round(float(_BOTTOM - (_BOTTOM - _TOP) * tar), 1)


def _histograms(report: CalibrationReport) -> dict[str, Any]:
    """Return how the scores of both kinds of pairs are distributed, as shares of each kind."""
    sides = report.figures.same_scores, report.figures.different_scores
    low, high = _tenths([report.threshold, *(float(side[i]) for side in sides for i in (0, -1))])
    edges = np.arange(low * _BINS_PER_TENTH, high * _BINS_PER_TENTH + 1) / (10 * _BINS_PER_TENTH)
    counts = [_counted(side, edges) for side in sides]
    shares = [n / n.sum() for n in counts]
    most = max(float(share.max()) for share in shares)

    def place(score: float) -> float:
        part = (10 * score - low) / (high - low)
        return round(_LEFT + (_RIGHT - _LEFT) * min(1.0, max(0.0, part)), 1)

    xs = [place(edge) for edge in edges.tolist()]
    return {
        "paths": [_outline(xs, share / most) for share in shares],
        "bins": list(_bins(xs, edges, counts)),
        "threshold": place(report.threshold),
        "x_ticks": [(place(i / 10), f"{i / 10:g}") for i in range(low, high + 1)],
        "most": _percent(most),
    }


def _tenths(values: Sequence[float]) -> tuple[int, int]:
    """Return the ends of an axis that holds all values, in tenths within [-1, 1]."""
    low = max(-10, min(9, floor(10 * min(values))))
    return low, max(low + 1, min(10, ceil(10 * max(values))))


def _counted(scores: Scores, edges: Ratios) -> Integers:
    """Return how many ascending scores are in each bin; what is beyond the ends is in them."""
    inner = np.searchsorted(scores, edges[1:-1].astype(np.float32))
    return np.diff([0, *inner.tolist(), len(scores)])


def _outline(xs: Sequence[float], heights: Ratios) -> str:
    """Return the outline of a histogram; heights are in [0, 1]."""
    tops = (_BOTTOM - (_BOTTOM - _TOP) * heights).round(1).tolist()
    steps = "".join(f"V{top}H{x}" for top, x in zip(tops, xs[1:], strict=True))
    return f"M{_LEFT} {_BOTTOM}{steps}V{_BOTTOM}Z"


def _bins(
    xs: Sequence[float], edges: Ratios, counts: Sequence[Integers]
) -> Iterator[dict[str, Any]]:
    """Yield what each bin holds, in words, and where it is; empty ones are left out."""
    for i, (n_same, n_different) in enumerate(zip(*(n.tolist() for n in counts), strict=True)):
        if n_same or n_different:
            pairs = f"{n_same:,} pairs of the same person, {n_different:,} of different people"
            title = f"{edges[i]:.2f} to {edges[i + 1]:.2f}: {pairs}"
            yield {"x": xs[i], "width": round(xs[i + 1] - xs[i], 1), "title": title}
