"""The parts of a report, as plain values that its page shows."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sightflow.dashboard.confusion import matrix_of
from sightflow.dashboard.page import tile
from sightflow.dashboard.report.charts import passages_over_time, scores_of, small_scores_of
from sightflow.dashboard.report.findings import (
    ClassFound,
    Findings,
    KindFound,
    found_in,
    score_of,
)
from sightflow.dashboard.report.happenings import Happenings, Lasted
from sightflow.dashboard.report.judged import Judged
from sightflow.dashboard.report.reading import Rejections
from sightflow.dashboard.report.timegrid import duration_text, time_text
from sightflow.dashboard.samples import Picture, is_video
from sightflow.records import EVENT_KINDS, REASONS, Row
from sightflow.records.rows import name_of

__all__ = [
    "KIND_NAMES",
    "N_SAMPLE_CLASSES",
    "PicturesAt",
    "accuracy_of",
    "card_of",
    "events_of",
    "kind_of",
    "measures_of",
    "rejected_of",
    "sources_of",
]

Values = dict[str, Any]
PicturesAt = Mapping[tuple[str, int], Picture]
"""Pictures by `uri` and `sequence`."""

KIND_NAMES: Mapping[str, str] = {
    "classification": "Classes",
    "tracks": "Objects that were followed",
    "detections": "Objects",
    "faces": "Faces",
    "scene": "Scenes",
}
"""Titles of what is found, by the field of results."""
N_SAMPLE_CLASSES = 12
"""Classes that have sample pictures: the most frequent ones."""

_N_CLASSES, _N_SOURCES, _N_FOUND = 200, 100, 3
_N_MESSAGES = 40
"""Of a reason."""
_MAX_CELLS = 40
"""Rows of the confusion matrix."""
_NO_PICTURE = Picture(None, "no pictures are wanted")


def kind_of(kind: KindFound, album: PicturesAt) -> Values:
    """Return what was found of one kind: classes, scores, samples."""
    classes = kind.classes
    return {
        "name": kind.name,
        "title": KIND_NAMES[kind.name],
        "is_of_objects": kind.is_of_objects,
        "is_followed": any(one.ids for one in classes),
        "n_images": kind.n_images,
        "n_empty": kind.n_empty,
        "classes": [_class_row(one, kind) for one in classes[:_N_CLASSES]],
        "n_left_out": max(0, len(classes) - _N_CLASSES),
        "scores": scores_of(kind),
        "small": small_scores_of(kind),
        "samples": [
            _samples_of(one, album, kind.name) for one in classes[:N_SAMPLE_CLASSES] if one.samples
        ],
    }


def _samples_of(one: ClassFound, album: PicturesAt, kind: str) -> Values:
    cards = [card_of(row, album, kind, first=one.name) for row in one.samples]
    return {"name": one.name, "n": one.n_images, "cards": cards}


def _class_row(one: ClassFound, kind: KindFound) -> Values:
    return {
        "name": one.name,
        "n_images": one.n_images,
        "share": one.n_images / max(1, kind.n_images),
        "n": one.n,
        "n_followed": len(one.ids),
        "score": one.mean_score,
    }


def card_of(row: Row, album: PicturesAt, kind: str, *, first: str = "") -> Values:
    """Return a picture with what was found in it.

    What is of this kind comes before others, and what is of the class `first` before all.
    """
    picture = album.get((row["uri"], row["sequence"]), _NO_PICTURE)
    name = row["uri"].rstrip("/").rpartition("/")[2]
    frame = f", frame {row['sequence']}, {time_text(row['event_time_ms'])}"
    found = sorted(
        _found(row), key=lambda one: (one["kind"] != kind, one["name"] != first, -one["score"])
    )
    said = ", ".join(f"{one['label']} {one['score']:.2f}" for one in found) or "nothing found"
    return {
        "uri": row["uri"],
        "where": f"{name}{frame}" if is_video(row["uri"]) else name,
        "picture": picture,
        "found": found[:_N_FOUND],
        "n_more": max(0, len(found) - _N_FOUND),
        "alt": f"{name}: {said}",
    }


def _found(row: Row) -> Iterator[Values]:
    """Yield what was found in an image: its kind, class, label and score."""
    for name, items in found_in(row):
        for item in items[:1] if name == "scene" else items:
            class_name, track_id = name_of(item), item.get("track_id")
            label = class_name if track_id is None else f"#{track_id} {class_name}"
            label = f"scene: {label}" if name == "scene" else label
            yield {"kind": name, "name": class_name, "label": label, "score": score_of(item)}


def accuracy_of(judged: Judged, album: PicturesAt) -> Values | None:
    """Return how right the classifications are; None where no image has a label."""
    if not judged.n:
        return None
    tally, details = judged.tally(), judged.details()
    unknown = judged.unknown
    return {
        "n": judged.n,
        "n_without": judged.n_without,
        "tiles": list(_accuracy_tiles(judged)),
        "part": {
            "details": details,
            "matrix": matrix_of(details, max_classes=_MAX_CELLS),
            "most": int(tally.bin_n.max()),
            "mistakes": [],
        },
        "mistakes": [_mistake(row, album) for row in judged.mistakes()],
        "n_unknown": len(unknown),
        "unknown": ", ".join(unknown[:10]) + (", ..." if len(unknown) > 10 else ""),
    }


def _accuracy_tiles(judged: Judged) -> Iterator[dict[str, str]]:
    tally = judged.tally()
    yield tile("top-1 accuracy", f"{100 * tally.accuracy:.1f} %", f"of {judged.n:,} with a label")
    if judged.top_k > 1:
        share = f"{100 * tally.top_k_accuracy:.1f} %"
        yield tile(f"top-{judged.top_k} accuracy", share, "the label is among the best")
    yield tile("macro F1", f"{judged.macro_f1:.3f}", "mean of all classes")
    yield tile("calibration error", f"{tally.calibration.error:.3f}", "0: scores can be trusted")


def _mistake(row: Row, album: PicturesAt) -> Values:
    card, best = card_of(row, album, "classification"), row["classification"][:1]
    predicted = best[0]["label"] if best else "nothing"
    told = {"label": row["told"], "score": row["score"], "own_score": row["own_score"]}
    return {**card, "predicted": predicted, **told}


def rejected_of(rejections: Rejections) -> list[Values]:
    """Return why images were rejected, the most frequent reason first."""
    return [
        {
            "reason": reason,
            "n": n,
            "meaning": _plain(REASONS.get(reason, "a word of a step of your own")),
            "steps": ", ".join(rejections.steps[reason]),
            "messages": sorted(rejections.messages[reason].items(), key=lambda pair: -pair[1].n)[
                :_N_MESSAGES
            ],
        }
        for reason, n in rejections.reasons.most_common()
    ]


def _plain(meaning: str) -> str:
    """Return words of the reference as a page has them."""
    return meaning.replace("`", "")


def sources_of(findings: Findings) -> Values:
    """Return how many images each source had, and when they were taken."""
    ordered = sorted(findings.sources.items(), key=lambda pair: (-pair[1].n, pair[0]))
    rows = [
        {"name": name, "n": one.n, "first": time_text(one.first_ms), "last": time_text(one.last_ms)}
        for name, one in ordered[:_N_SOURCES]
    ]
    return {"rows": rows, "n": len(ordered), "n_left_out": max(0, len(ordered) - _N_SOURCES)}


def measures_of(findings: Findings) -> list[Values]:
    """Return what was measured."""
    return [
        {"name": name, "n": one.n, "least": one.least, "mean": one.total / one.n, "most": one.most}
        for name, one in findings.measured.items()
        if one.n
    ]


def events_of(happenings: Happenings) -> Values | None:
    """Return what happened; None where nothing did."""
    if not happenings.n:
        return None
    return {
        "n": happenings.n,
        "kinds": [
            (kind, n, _plain(EVENT_KINDS.get(kind, "")))
            for kind, n in happenings.kinds.most_common()
        ],
        "places": [
            {
                "name": name,
                "passed": dict(place.passed),
                "by_class": _by_class(place.by_class),
                "stayed": _lasted(place.stayed),
            }
            for name, place in happenings.places.items()
        ],
        "charts": list(passages_over_time(happenings)),
        "seen": [
            {"label": label or "-", "n": n, **_lasted(happenings.seen.get(label, Lasted()))}
            for label, n in happenings.appeared.most_common()
        ],
        "listed": [_event(event) for event in happenings.listed],
        "n_not_listed": happenings.n_not_listed,
        "n_of_others": happenings.n_of_others,
    }


def _by_class(counts: Mapping[tuple[str, str], int]) -> list[tuple[str, str]]:
    """Return for each class what it did, in words."""
    labels = dict.fromkeys(label for label, _ in counts)
    return [
        (label or "-", ", ".join(f"{n:,} {way}" for (of, way), n in counts.items() if of == label))
        for label in labels
    ]


def _lasted(lasted: Lasted) -> dict[str, str]:
    if not lasted.n:
        return {"mean": "-", "longest": "-"}
    return {
        "mean": duration_text(lasted.mean_ms),
        "longest": duration_text(lasted.longest_ms),
    }


def _event(event: Row) -> Values:
    return {
        "time": time_text(event["event_time_ms"]),
        "kind": event["kind"],
        "what": " ".join(_what(event)),
        "where": " ".join(str(event[name]) for name in ("zone", "direction") if name in event),
        "lasted": duration_text(event["duration_ms"]) if "duration_ms" in event else "",
        "source": event["source_id"].rstrip("/").rpartition("/")[2],
        "frame": event["sequence"],
    }


def _what(event: Row) -> Iterable[str]:
    if "track_id" in event:
        yield f"#{event['track_id']}"
    for name in ("label", "person_id", "predicted", "reason"):
        if name in event:
            yield str(event[name])
