"""A page that shows what a run has found: counts, times, scores, pictures, what was rejected."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from importlib.metadata import version
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from sightflow.dashboard.page import tile, vendored, write_page
from sightflow.dashboard.report.charts import times_of
from sightflow.dashboard.report.parts import (
    KIND_NAMES,
    N_SAMPLE_CLASSES,
    PicturesAt,
    accuracy_of,
    card_of,
    events_of,
    kind_of,
    measures_of,
    rejected_of,
    sources_of,
)
from sightflow.dashboard.report.reading import OnProgress, RunRead, read_run
from sightflow.dashboard.report.timegrid import duration_text, time_text
from sightflow.dashboard.samples import pictures_of
from sightflow.dashboard.truth import label_reader
from sightflow.errors import SourceError
from sightflow.records import Row
from sightflow.storage.resultfiles import RunFiles

__all__ = ["write_report"]

_SUMMARY: Mapping[str, str] = {
    "read": "images read",
    "recognised": "recognised",
    "rejected": "rejected",
    "skipped": "skipped, since newer ones were there",
    "seconds": "seconds from the start until the output appeared",
    "images_per_s": "images a second",
    "first_result_s": "seconds until the first result",
    "last_result_s": "seconds until the last result",
    "runner": "runner",
    "workers": "workers",
}


def _no_progress(what: str, done: int, total: int) -> None:
    """Show nothing."""


def write_report(
    path: Path,
    files: RunFiles,
    *,
    title: str,
    labels: str | None = None,
    n_samples: int = 6,
    on_progress: OnProgress = _no_progress,
) -> None:
    """Write one HTML file that needs no other file and no network.

    Sample pictures are read from where they were; one that is gone is shown as such.

    Args:
        path: the HTML file; it appears when it is complete.
        files: what a run has written, as `find_run` gives it.
        title: heading of the page.
        labels: what images show: a file, or `folders`; see `label_reader`.
        n_samples: pictures of each of the most frequent classes; 0: no pictures at all.
        on_progress: told what is being done, how much is done, and how much there is.

    Raises:
        SourceError: a file cannot be read, is not what a run has written, or there is no row.
        OutputError: the page cannot be written.
    """
    run = read_run(files, label_reader(labels), n_samples=n_samples, on_progress=on_progress)
    if run.is_empty:
        raise SourceError(f"{files.folder}/{files.name}: has no rows; there is nothing to report")
    rows = list(_pictured(run)) if n_samples else []
    album = pictures_of(rows, lambda done, total: on_progress("pictures", done, total))
    findings = run.findings
    write_page(
        path,
        "report.html",
        title=title,
        lead=_lead(run),
        tiles=list(_tiles(run)),
        facts=_facts(files, run),
        times=list(times_of(findings, KIND_NAMES)),
        n_videos=findings.n_videos,
        kinds=[kind_of(kind, album) for kind in findings.kinds],
        n_sample_classes=N_SAMPLE_CLASSES,
        unsure=[card_of(row, album, "classification") for row in findings.unsure],
        measures=measures_of(findings),
        accuracy=accuracy_of(run.judged, album) if n_samples else _without_mistakes(run, album),
        events=events_of(run.happenings),
        sources=sources_of(findings),
        rejected=rejected_of(run.rejections),
        models=[(*use, n) for use, n in findings.models.most_common()],
        speed=_speed(run.summary),
        **vendored(),
    )


def _pictured(run: RunRead) -> Iterator[Row]:
    """Yield the rows whose pictures are shown, the most important ones first."""
    yield from run.judged.mistakes()
    yield from run.findings.unsure
    samples = [
        one.samples for kind in run.findings.kinds for one in kind.classes[:N_SAMPLE_CLASSES]
    ]
    turns = zip_longest(*samples)
    yield from (row for row in chain.from_iterable(turns) if row is not None)


def _without_mistakes(run: RunRead, album: PicturesAt) -> Mapping[str, Any] | None:
    accuracy = accuracy_of(run.judged, album)
    return accuracy and {**accuracy, "mistakes": []}


def _lead(run: RunRead) -> str:
    """Return what there is to say first."""
    findings, n_rejected = run.findings, run.n_rejected
    said = [f"{findings.n:,} images recognised, {n_rejected or 'none'} rejected."]
    for kind in findings.kinds[:1]:
        most = [f"{one.name} ({one.n_images:,})" for one in kind.classes[:3]]
        if most:
            said.append(f"In most images: {', '.join(most)}.")
    if not findings.n and run.happenings.n:
        said = [f"{run.happenings.n:,} events."]
    return " ".join(said)


def _tiles(run: RunRead) -> Iterator[dict[str, str]]:
    """Yield the figures that are seen first."""
    findings, summary = run.findings, run.summary
    n_rejected = run.n_rejected
    if findings.n or n_rejected:
        n_read = summary.get("read", findings.n + n_rejected)
        n_sources = len(findings.sources)
        yield tile("images", f"{n_read:,}", f"{n_sources:,} source{'s' if n_sources != 1 else ''}")
        yield tile("recognised", f"{findings.n:,}")
        reasons = ", ".join(run.rejections.reasons)
        known = reasons or ("reasons unknown" if n_rejected else "each image was read")
        yield tile("rejected", f"{n_rejected:,}", known)
    if summary.get("skipped"):
        yield tile("skipped", f"{summary['skipped']:,}", "newer ones were there")
    yield from _tiles_of_kinds(run)
    if run.judged.n:
        accuracy = f"{100 * run.judged.tally().accuracy:.1f} %"
        yield tile("right", accuracy, f"of {run.judged.n:,} images with a label")
    if run.happenings.n:
        yield tile("events", f"{run.happenings.n:,}")
    if "images_per_s" in summary:
        yield tile("images/s", f"{summary['images_per_s']:g}", f"{summary['seconds']:g} s")


def _tiles_of_kinds(run: RunRead) -> Iterator[dict[str, str]]:
    """Yield how much was found of each kind."""
    for kind in run.findings.kinds:
        classes = kind.classes
        if followed := sum(len(one.ids) for one in classes):
            yield tile("objects followed", f"{followed:,}", f"of {len(classes):,} classes")
        elif kind.is_of_objects:
            yield tile(kind.name, f"{kind.n:,}", f"of {len(classes):,} classes")
        elif kind.name == "classification":
            yield tile("classes", f"{len(classes):,}", "were the best of an image")


def _facts(files: RunFiles, run: RunRead) -> dict[str, str]:
    """Return what is to be told of the run, by name."""
    findings = run.findings
    facts = {"results": ", ".join(files.results[:1]) or "-"}
    if len(files.results) > 1:
        facts["results"] = f"{len(files.results)} parts in {files.folder}"
    if files.events and run.happenings.n:
        facts["events"] = files.events[0]
    for name, grid in zip(("within videos", "taken"), findings.times.grids, strict=True):
        if not grid.is_empty:
            ends = [time_text(one) for one in (grid.first_ms, grid.last_ms)]
            span = duration_text(grid.last_ms - grid.first_ms)
            facts[name] = ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}, {span}"
    models = dict.fromkeys(f"{model}, version {v}" for _, model, v in findings.models)
    if models:
        facts["models"] = "; ".join(models)
    facts |= dict(_doubts(files, run))
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M")
    facts["written"] = f"by Sightflow {version('sightflow')}, {now} UTC"
    return facts


def _doubts(files: RunFiles, run: RunRead) -> Iterator[tuple[str, str]]:
    """Yield what does not fit together."""
    n, told = run.findings.n, run.summary.get("recognised")
    doubts = []
    if told is not None and told != n:
        doubts.append(f"the run has recognised {told:,} images; the results have {n:,}")
    n, told = run.rejections.n, run.summary.get("rejected")
    if told is not None and told != n:
        doubts.append(
            f"the run has rejected {told:,} images; the files beside the results tell of {n:,}"
        )
    if files.events and run.happenings.are_of_others:
        doubts.append(
            f"{files.events[0]} is of another run: it has no event of a source of these results"
        )
    if doubts:
        yield "attention", "; ".join(doubts)
    if run.judged.n_unclassified:
        n_lost = run.judged.n_unclassified
        yield "labels", f"{n_lost:,} images have a label and no classification to hold against it"


def _speed(summary: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(words, summary[name]) for name, words in _SUMMARY.items() if summary.get(name)]
