"""A page that shows how a training or a test went: curves, confusion matrix, worst mistakes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sightflow.dashboard.charts import curves_of
from sightflow.dashboard.confusion import matrix_of
from sightflow.dashboard.learning import Details, Learning, read_learning
from sightflow.dashboard.page import tile, vendored, write_page
from sightflow.dashboard.pictures import Album

__all__ = ["tiles_of", "write_training_report"]

_N_PICTURES = 48
"""Worst mistakes that are shown, of each kind of images."""
_MAX_CLASSES = 100
"""Rows of a confusion matrix."""
_N_LABELS = 40


def write_training_report(
    path: Path,
    title: str,
    events: Path,
    *,
    facts: Mapping[str, str] = MappingProxyType({}),
) -> Learning:
    """Write one HTML file that needs no other file and no network.

    The pictures of the worst mistakes are read from where they were; one that is gone is shown as
    such.

    Args:
        path: the HTML file; it appears when it is complete.
        title: heading of the page.
        events: what `JsonEvents` wrote of a run with `Train`, `Evaluate` or `EvaluateObjects`.
        facts: what else is to be told of the run, by name.

    Returns:
        What the events tell.

    Raises:
        SourceError: `events` cannot be read, or is no file of events.
    """
    learning = read_learning(events)
    write_page(
        path,
        "training.html",
        title=title,
        lead=_lead(learning),
        tiles=tiles_of(learning),
        facts=_facts(learning, facts),
        charts=[chart.as_dict() for chart in curves_of(learning)],
        learned=learning.last("trained") is not None,
        marks={kind: bool(learning.of(kind)) for kind in ("drifted", "published")},
        parts=_parts(learning),
        **{kind: learning.of_classes.of(kind) for kind in ("published", "tested", "drifted")},
        tested_objects=learning.of_objects.of("tested"),
        **vendored(),
    )
    return learning


def _lead(learning: Learning) -> str:
    """Return what there is to say first."""
    trained, serving, said = learning.last("trained"), learning.serving, []
    if trained is not None:
        n, step = trained.figures["n_samples"], trained.figures["step"]
        said.append(f"Learned from {n:.0f} images in {step:.0f} steps.")
    if serving is not None:
        said.append(f"{serving.event['uri']} serves: {serving.event['reason']}.")
    elif published := learning.last("published"):
        event = published.event
        said.append(f"{event['uri']} is published and does not serve: {event['reason']}.")
    if not said and (evaluated := learning.last("evaluated")):
        said.append(f"Tested on {evaluated.figures['n']:.0f} images.")
    if not learning.course:
        said.append("Nothing was learned or tested.")
    return " ".join(said)


def tiles_of(learning: Learning) -> list[dict[str, str]]:
    """Return the figures that are seen first."""
    of_classes, trained = learning.of_classes, learning.last("trained")
    tested, evaluated = of_classes.last("tested"), of_classes.last("evaluated")
    tiles = list[dict[str, str]]()
    if tested is not None and tested.figures["n"]:
        tiles.append(_share("last test", tested.figures, ""))
    if evaluated is not None and evaluated.figures["n"]:
        if evaluated.figures.get("window_n"):
            tiles.append(_share("window", evaluated.figures, "window_"))
        tiles.append(_share("since the start", evaluated.figures, ""))
    tiles.extend(_tiles_of_objects(learning.of_objects))
    if trained is not None and trained.figures["loss"] is not None:
        tiles.append(tile("loss", f"{trained.figures['loss']:.4g}", "mean of the last batch"))
    alarms = learning.of("drifted")
    if alarms:
        tiles.append(tile("alarms", str(len(alarms)), "a watched value has changed"))
    return tiles


def _tiles_of_objects(learning: Learning) -> Iterator[dict[str, str]]:
    """Yield how well objects were found: in the last test, and in the stream."""
    for name, kind in (("last test", "tested"), ("since the start", "evaluated")):
        if (told := learning.last(kind)) is not None:
            figures = told.figures
            note = f"mAP@0.5 of {figures['n_objects']:.0f} objects in {figures['n']:.0f} images"
            yield tile(name, f"{100 * figures['map_50']:.1f} %", note)


def _share(name: str, figures: Mapping[str, Any], prefix: str) -> dict[str, str]:
    value = f"{100 * figures[prefix + 'accuracy']:.1f} %"
    return tile(name, value, f"of {figures[prefix + 'n']:.0f} images right")


def _facts(learning: Learning, facts: Mapping[str, str]) -> dict[str, str]:
    """Return the facts, and before them the classes."""
    labels = learning.labels
    if learning.labels_later:
        facts = {"labels that came later": learning.labels_later, **facts}
    if not labels:
        return dict(facts)
    more = ", ..." if len(labels) > _N_LABELS else ""
    return {"classes": f"{len(labels)}: {', '.join(labels[:_N_LABELS])}{more}", **facts}


def _parts(learning: Learning) -> list[dict[str, Any]]:
    """Return what the template needs of each kind of tested images."""
    album = Album()
    several = len({part.step for part in learning.details}) > 1
    return [
        {
            "title": _title(part, several=several),
            "details": part,
            "matrix": matrix_of(part, max_classes=_MAX_CLASSES),
            "most": max((e["figures"]["n"] for e in part.calibrated), default=1),
            "mistakes": album.of(part.mistaken, at_most=_N_PICTURES),
        }
        for part in learning.details
    ]


def _title(part: Details, *, several: bool) -> str:
    what = "images of the last test" if part.held_out else "images of the stream"
    if part.is_of_objects:
        what = f"objects in {what}"
    return f"{part.n} {what}{f', {part.step}' if several else ''}"
