"""A page that shows where two results of the same images differ, with both drawn side by side.

Its charts are drawn here, as SVG: the page needs no script.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sightflow.dashboard.page import tile, write_page
from sightflow.dashboard.samples import is_video, pictures_of
from sightflow.metrics.agreement import (
    Agreement,
    Change,
    ClassAgreement,
    ImageAgreement,
    Said,
)
from sightflow.metrics.shares import percent_text
from sightflow.records import Row

__all__ = ["ReplayPage", "Sample", "write_replay_report"]

_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 700, 10, 180
"""Where the charts are, in units of the drawing."""
_KINDS = {
    "kept": "the same in both",
    "moved": "the same label, another place",
    "relabelled": "the same place, another label",
    "lost": "only in A",
    "gained": "only in B",
}
_CLASS_KINDS = {
    "kept": "the same best class",
    "relabelled": "another best class",
    "lost": "no class in B",
    "gained": "no class in A",
}
_N_CLASSES = 40
_N_TRANSITIONS = 20
_N_SAID = 5
_N_CHANGES = 8
_MAX_BYTES = 2_000_000
"""Of the pictures of one side."""


@dataclass(frozen=True)
class Sample:
    """An image of which both results say different things."""

    a: Row
    b: Row
    agreement: ImageAgreement


@dataclass(frozen=True)
class ReplayPage:
    """What the page shows."""

    path: str
    """Of the first results."""
    facts: Mapping[str, str]
    """What is to be told of both, by name."""
    agreement: Agreement
    classes: Sequence[tuple[str, ClassAgreement]] = ()
    """Those that changed, with most changes first."""
    course: Sequence[tuple[int, int]] = ()
    """Parts of the input, in order: images, and how many of them are the same."""
    samples: Sequence[Sample] = ()
    """The greatest difference first."""
    only: Sequence[Sequence[Mapping[str, Any]]] = field(default=((), ()))
    """Some images that B rejected, and some that A did: `uri`, `sequence`, `reason`, `message`."""


def write_replay_report(path: Path, page: ReplayPage) -> None:
    """Write one HTML file that needs no other file, no network and no script.

    Args:
        path: the HTML file; it appears when it is complete.
        page: what it shows.
    """
    agreement = page.agreement
    transitions = agreement.transitions.most_common(_N_TRANSITIONS)
    write_page(
        path,
        "replay.html",
        title=f"Replay of {os.path.basename(page.path.rstrip('/'))}",
        lead=_lead(page),
        tiles=list(_tiles(page)),
        facts=page.facts,
        kinds=list(_kinds(agreement)),
        course=_course(page.course),
        scores=_scores(agreement),
        classes=[(name, one) for name, one in page.classes[:_N_CLASSES]],
        n_more=max(0, len(page.classes) - _N_CLASSES),
        transitions=[(a, b, n) for (a, b), n in transitions],
        samples=_cards(page.samples),
        has_frames=any(is_video(sample.a["uri"]) for sample in page.samples),
        only=page.only,
        frame={"left": _LEFT, "right": _RIGHT, "top": _TOP, "bottom": _BOTTOM},
    )


def _lead(page: ReplayPage) -> str:
    agreement = page.agreement
    if not agreement.n:
        return "No image was recognised by both runs."
    changed = agreement.n - agreement.n_same
    if not changed:
        return f"B says the same as A of all {agreement.n:,} images."
    return (
        f"B says the same as A of {agreement.n_same:,} of {agreement.n:,} images, and something "
        f"else of {changed:,}."
    )


def _tiles(page: ReplayPage) -> Iterator[dict[str, str]]:
    agreement = page.agreement
    rate = percent_text(agreement.rate) if agreement.n else "-"
    yield tile("agreement", rate, f"of {agreement.n:,} images")
    yield tile("changed", f"{agreement.n - agreement.n_same:,}", "images")
    for name in ("lost", "gained", "relabelled", "moved"):
        if agreement.kinds[name]:
            yield tile(name, f"{agreement.kinds[name]:,}", _meanings(agreement)[name])
    if agreement.scores.n:
        yield tile(
            "score", f"{round(agreement.scores.mean, 3) + 0.0:+.3f}", "mean change of what was kept"
        )


def _meanings(agreement: Agreement) -> dict[str, str]:
    return _CLASS_KINDS if agreement.aspects == {"classification"} else _KINDS


def _kinds(agreement: Agreement) -> Iterator[dict[str, Any]]:
    """Yield the parts of the bar that shows what became of all objects or classes."""
    total = agreement.kinds.total()
    x = 0.0
    for name, meaning in _meanings(agreement).items():
        n = agreement.kinds[name]
        if n:
            width = 100 * n / total
            part = {"name": name, "meaning": meaning, "n": n, "share": percent_text(n / total)}
            yield {**part, "x": round(x, 3), "width": round(width, 3)}
            x += width


def _course(parts: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    """Return a bar for each part of the input, as high as the share of images that are the same.

    Where all are, or none is, or there is one part only, there is nothing to show.
    """
    if len(parts) < 2 or sum(n_same for _, n_same in parts) in (0, sum(n for n, _ in parts)):
        return []
    step = (_RIGHT - _LEFT) / len(parts)
    first, bars = 1, []
    for i, (n, n_same) in enumerate(parts):
        if n:
            share = n_same / n
            y = round(_BOTTOM - (_BOTTOM - _TOP) * share, 1)
            title = f"images {first:,} to {first + n - 1:,}: {percent_text(share)} the same"
            bars.append({**_bar(_LEFT + i * step, step), "y": y, "title": title})
        first += n
    return bars


def _scores(agreement: Agreement) -> dict[str, Any]:
    """Return the histogram of how scores of what was kept have changed, if any has."""
    if not agreement.scores.moved:
        return {"bars": []}
    counts = agreement.scores.bins.tolist()
    most = max(counts)
    step = (_RIGHT - _LEFT) / len(counts)
    bars = []
    for i, n in enumerate(counts):
        low, high = (2 * (i + end) / len(counts) - 1 for end in (0, 1))
        if n:
            y = round(_BOTTOM - (_BOTTOM - _TOP) * n / most, 1)
            title = f"{low:+.1f} to {high:+.1f}: {n:,}"
            bars.append({**_bar(_LEFT + i * step, step), "y": y, "title": title})
    ticks = [(round(_LEFT + (_RIGHT - _LEFT) * i / 10, 1), f"{i / 5 - 1:+.1f}") for i in range(11)]
    return {"bars": bars, "most": most, "x_ticks": ticks}


def _bar(x: float, step: float) -> dict[str, float]:
    return {"x": round(x + 0.5, 1), "width": round(step - 1, 1)}


def _cards(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Return the samples as cards, with the picture of each side."""
    sides = [pictures_of(rows, max_bytes=_MAX_BYTES) for rows in zip(*_rows(samples), strict=True)]
    cards = []
    for sample in samples:
        key = sample.a["uri"], sample.a["sequence"]
        has_boxes = any(not change.is_of_class for change in sample.agreement.changes)
        cards.append(
            {
                "name": os.path.basename(sample.a["uri"].rstrip("/")) or sample.a["uri"],
                "uri": sample.a["uri"],
                "frame": sample.a["sequence"] if is_video(sample.a["uri"]) else None,
                "label": sample.a.get("label"),
                "is_resized": sample.agreement.is_resized,
                "changes": list(_changes(sample.agreement)),
                "n_kept": sample.agreement.counts().get("kept", 0),
                "sides": [
                    _side(name, row, pictures[key], sample.agreement)
                    for name, row, pictures in zip("AB", (sample.a, sample.b), sides, strict=True)
                ],
                "has_boxes": has_boxes,
            }
        )
    return cards


def _rows(samples: Sequence[Sample]) -> Iterator[tuple[Row, Row]]:
    """Yield both rows of each sample; of a file that has changed both are drawn as it is now."""
    for sample in samples:
        size = {"width": sample.b["width"], "height": sample.b["height"]}
        yield {**sample.a, **size}, sample.b


def _side(name: str, row: Row, picture: Any, agreement: ImageAgreement) -> dict[str, Any]:
    """Return one side of a card: the picture, marks on what changed, the best classes."""
    said = [change.a if name == "A" else change.b for change in agreement.changes]
    marks = [
        _mark(one, change.kind)
        for one, change in zip(said, agreement.changes, strict=True)
        if one is not None and one.box_xyxy is not None and change.kind != "kept"
    ]
    classes = (row.get("classification") or ())[:_N_SAID]
    return {
        "name": name,
        "picture": picture,
        "width": row["width"],
        "height": row["height"],
        "marks": marks,
        "classes": [(item["label"], item["score"]) for item in classes],
        "alt": _alt(name, [one for one in said if one is not None]),
        "n": sum(one is not None for one in said),
    }


def _mark(said: Said, kind: str) -> dict[str, Any]:
    x1, y1, x2, y2 = said.box_xyxy or (0, 0, 0, 0)
    place = {"x": x1, "y": y1, "width": max(0, x2 - x1), "height": max(0, y2 - y1)}
    rounded = {edge: round(value, 1) for edge, value in place.items()}
    return {**rounded, "title": f"{kind}: {_text(said)}"}


def _alt(name: str, said: Sequence[Said]) -> str:
    shown = ", ".join(_text(one) for one in said[:_N_SAID]) or "nothing"
    more = f" and {len(said) - _N_SAID} more" if len(said) > _N_SAID else ""
    return f"What {name} says: {shown}{more}"


def _changes(agreement: ImageAgreement) -> Iterator[dict[str, str]]:
    """Yield what has changed in words, the greatest change first; equal ones are put together."""
    groups: dict[tuple[str, ...], list[Change]] = {}
    for change in agreement.changes:
        if change.kind != "kept":
            labels = (said.label for said in (change.a, change.b) if said is not None)
            groups.setdefault((change.kind, *labels), []).append(change)
    ranked = sorted(groups.values(), key=lambda some: -sum(one.weight for one in some))
    for group in ranked[:_N_CHANGES]:
        text = _change(group[0]) if len(group) == 1 else _together(group)
        yield {"kind": group[0].kind, "text": text}
    if len(ranked) > _N_CHANGES:
        yield {"kind": "", "text": f"and {sum(map(len, ranked[_N_CHANGES:]))} more"}


def _change(change: Change) -> str:
    sides = [_text(said) for said in (change.a, change.b) if said is not None]
    overlap = f", overlap {change.iou:.2f}" if change.kind == "moved" and change.iou else ""
    rank = (
        f"; {change.a.label} is number {change.rank_b} in B" if change.a and change.rank_b else ""
    )
    return f"{' → '.join(sides)}{overlap}{rank if change.kind == 'relabelled' else ''}"


def _together(group: Sequence[Change]) -> str:
    """Return changes of the same labels in words, with the scores that they have in B, or in A."""
    labels = dict.fromkeys(said.label for said in (group[0].a, group[0].b) if said is not None)
    scores = [said.score for change in group if (said := change.b or change.a) is not None]
    return f"{len(group)} x {' → '.join(labels)}, {min(scores):.2f} to {max(scores):.2f}"


def _text(said: Said) -> str:
    return f"{said.label} {said.score:.2f}"
