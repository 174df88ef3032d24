"""Charts of results, each with the same numbers as a table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from sightflow.dashboard.charts import Chart, Curve
from sightflow.dashboard.report.findings import N_BINS, Findings, KindFound
from sightflow.dashboard.report.happenings import Happenings
from sightflow.dashboard.report.timegrid import TimeGrid, duration_text, time_text

__all__ = ["COLOURS", "Drawn", "passages_over_time", "scores_of", "small_scores_of", "times_of"]

COLOURS = ("--first", "--second", "--third", "--fourth", "--fifth", "--sixth")
"""Of classes, the most frequent first."""
_AXES = ("video", "time")
_HEIGHT = 260
_SMALL, _N_SMALL = 150, 12
"""Height and number of the charts of single classes."""
_SHORTEST_MS = 1_000
"""Files that were copied together have times that say nothing."""
_ENOUGH = 20
"""Scores that make a histogram."""
_WAYS = ("in", "out", "entered", "exited")


@dataclass(frozen=True)
class Drawn:
    """A chart, and its numbers for those who cannot see it."""

    chart: Mapping[str, Any]
    """As `Chart.as_dict` gives it."""
    summary: str
    """What it shows, in words."""
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    """What it leaves out, in words."""

    @property
    def title(self) -> str:
        """Heading of the chart."""
        return str(self.chart["title"])


@dataclass(frozen=True)
class _Series:
    """Numbers by bin of a grid."""

    label: str
    counts: Mapping[int, float]
    scale: str = "count"


def times_of(findings: Findings, names: Mapping[str, str]) -> Iterator[Drawn]:
    """Yield when images were taken, and when what was found; nothing where there is one time only.

    Args:
        findings: of a run.
        names: title of each kind of finding.
    """
    for which, grid in enumerate(findings.times.grids):
        if grid.last_ms - grid.first_ms < _SHORTEST_MS:
            continue
        width = duration_text(grid.width_ms)
        images = _Series("images", findings.over_time[which])
        yield _over_time(f"Images in each {width}", grid, which, [images], bars=True)
        for kind in findings.kinds:
            series = list(_classes_over_time(kind, which))
            if series:
                per = f"in an image, mean of {width}" if kind.is_of_objects else f"in each {width}"
                drawn = _over_time(f"{names[kind.name]} {per}", grid, which, series)
                yield replace(drawn, note=_left_out(kind, len(COLOURS)))


def _classes_over_time(kind: KindFound, which: int) -> Iterator[_Series]:
    """Yield how often the most frequent classes were found; of objects how many in an image."""
    for one in kind.classes[: len(COLOURS)]:
        counts, images = one.over_time[which], kind.over_time[which]
        if kind.is_of_objects:
            yield _Series(one.name, {b: counts.get(b, 0) / n for b, n in images.items()}, "mean")
        elif counts:
            yield _Series(one.name, counts)


def passages_over_time(happenings: Happenings) -> Iterator[Drawn]:
    """Yield for each zone and line how many have passed so far."""
    for name, place in happenings.places.items():
        for which, grid in enumerate(happenings.times.grids):
            counts = {way: place.over_time[way][which] for way in _WAYS}
            series = [_Series(way, _so_far(n, grid)) for way, n in counts.items() if n]
            if series and len(grid.bins) > 1:
                yield _over_time(f"{name}: how many so far", grid, which, series, steps=True)


def _so_far(counts: Mapping[int, int], grid: TimeGrid) -> Mapping[int, int]:
    return dict(zip(grid.bins, accumulate(counts.get(n, 0) for n in grid.bins), strict=True))


def _over_time(
    title: str, grid: TimeGrid, which: int, series: Sequence[_Series], **shape: bool
) -> Drawn:
    """Return a chart of numbers by bin, and the bins in which there is any as a table."""
    width_s = grid.width_ms / 1000
    x = [(number + 0.5) * width_s for number in grid.bins]
    curves = [
        Curve(one.label, x, _values(one, grid), one.scale, colour, **shape)
        for one, colour in zip(series, COLOURS, strict=False)
    ]
    chart = Chart(title, curves, axis=_AXES[which], step=width_s)
    rows = [
        [time_text(number * grid.width_ms), *(_text(one, number) for one in series)]
        for number in grid.bins
        if any(one.counts.get(number) for one in series)
    ]
    ends = f"from {time_text(grid.first_ms)} to {time_text(grid.last_ms)}"
    return Drawn(
        chart.as_dict(), f"{title}, {ends}", ["from", *(one.label for one in series)], rows
    )


def _values(series: _Series, grid: TimeGrid) -> list[float | None]:
    """Return a number for each bin: where no image was, there is no mean, and a count of 0."""
    counts = series.counts
    if series.scale == "mean":
        return [float(f"{counts[b]:.4g}") if b in counts else None for b in grid.bins]
    return [counts.get(b, 0) for b in grid.bins]


def _text(series: _Series, number: int) -> str:
    count = series.counts.get(number, 0)
    return f"{count:.3g}" if series.scale == "mean" else f"{count:,}"


def scores_of(kind: KindFound) -> Drawn:
    """Return how the scores of all that was found are distributed, and those of each class."""
    shown = kind.classes[:_N_SMALL]
    bins = [sum(one.bins[i] for one in kind.classes) for i in range(N_BINS)]
    rows = [
        [
            _range(i),
            f"{bins[i]:,}",
            *(f"{one.bins[i]:,}" for one in shown),
        ]
        for i in range(N_BINS)
    ]
    chart = _histogram("Scores of all", bins, _HEIGHT)
    names = ["all", *(one.name for one in shown)]
    note = _left_out(kind, _N_SMALL)
    return Drawn(chart, "Histogram of the scores", ["score", *names], rows, note)


def _left_out(kind: KindFound, n_shown: int) -> str:
    """Return in words how many classes are not shown; empty where all are."""
    n = len(kind.classes) - n_shown
    return f"; the {n_shown} classes in most images, and {n:,} more are not shown" if n > 0 else ""


def small_scores_of(kind: KindFound) -> list[Mapping[str, Any]]:
    """Return how the scores of the most frequent classes are distributed, a small chart each."""
    shown = (one for one in kind.classes[:_N_SMALL] if one.n >= _ENOUGH)
    return [_histogram(one.name, one.bins, _SMALL) for one in shown]


def _range(i: int) -> str:
    """Return which scores are in a bin; similarities may be below 0, and are in the first."""
    return f"{'below ' if not i else f'{i / N_BINS:.2f} to '}{(i + 1) / N_BINS:.2f}"


def _histogram(title: str, bins: Sequence[int], height: int) -> Mapping[str, Any]:
    x = [(i + 0.5) / N_BINS for i in range(N_BINS)]
    curve = Curve("found", x, list(bins), "count", COLOURS[0], bars=True)
    return Chart(title, [curve], axis="score", step=1 / N_BINS, height=height).as_dict()
