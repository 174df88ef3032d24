"""What a person sees in a terminal: progress, results, tables, errors."""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import orjson
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

from sightflow.records import Row
from sightflow.records.ledger import Ledger, Summary
from sightflow.records.rows import said_of, tracks_in
from sightflow.storage.jsonlines import read_rows
from sightflow.storage.naming import VIDEO_SUFFIXES

__all__ = [
    "notes",
    "print_error",
    "print_results",
    "print_summary",
    "print_table",
    "progress",
    "stages",
    "without_native_noise",
]

OnProgress = Callable[[Ledger, int | None], None]
OnEvent = Callable[[Row], None]


@contextmanager
def without_native_noise() -> Iterator[IO[str]]:
    """Silence what C libraries write to standard error, and give a stream that still reaches it.

    Damaged TIFF files alone make libtiff write hundreds of lines; the reason of each is in the
    rejected records.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        with os.fdopen(os.dup(kept), "w") as stderr:
            yield stderr
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def notes(*, stderr: IO[str]) -> Iterator[None]:
    """Show what Sightflow logs, such as a camera that is gone."""
    handler = logging.StreamHandler(stderr)
    handler.setFormatter(logging.Formatter("sightflow: %(message)s"))
    logger = logging.getLogger("sightflow")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextmanager
def progress(
    what: str, *, stderr: IO[str], quiet: bool
) -> Iterator[tuple[OnProgress, OnEvent | None]]:
    """Show done / total, speed, rejected images, and below it what events tell of learning.

    Without a terminal nothing is shown, and no events are asked for.
    """
    if quiet or not stderr.isatty():
        yield lambda ledger, n_images: None, None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]} images/s, {task.fields[rejected]} rejected"),
        TimeRemainingColumn(),
    )
    with _Learning(*columns, console=Console(file=stderr), transient=True) as bar:
        task = bar.add_task(what, total=None, speed="-", rejected=0)

        def show(ledger: Ledger, n_images: int | None) -> None:
            speed = bar.tasks[0].speed
            bar.update(
                task,
                total=n_images,
                completed=ledger.read,
                speed="-" if speed is None else f"{speed:.1f}",
                rejected=ledger.rejected,
            )

        yield show, bar.tell


class _Learning(Progress):
    """A bar, and below it a line about what was learned."""

    _last: Mapping[str, Row] = {}

    def tell(self, event: Row) -> None:
        """Take an event; the next picture of the bar shows it."""
        self._last = {**self._last, event["kind"]: event}

    def get_renderables(self) -> Iterable[RenderableType]:
        """Return the bar and the line."""
        yield from super().get_renderables()
        if said := _learned(self._last):
            yield Text(said)


def _learned(last: Mapping[str, Row]) -> str:
    """Return in a line what the last event of each kind tells of learning.

    Examples:
        >>> trained = {"kind": "trained", "figures": {"step": 50, "n_samples": 400, "loss": 0.6}}
        >>> tested = {"kind": "tested", "figures": {"n": 140, "accuracy": 0.95}}
        >>> _learned({"trained": trained, "tested": tested})
        'step 50, loss 0.6, test 95.0 % of 140 right'
        >>> _learned({"evaluated": {"kind": "evaluated", "figures": {"n": 9, "map_50": 0.5}}})
        'mAP@0.5 50.0 % in the stream'
    """
    figures = {kind: event.get("figures") or {} for kind, event in last.items()}
    said = []
    if now := figures.get("trained"):
        loss = "-" if now["loss"] is None else f"{now['loss']:.4g}"
        said.append(f"step {now['step']:.0f}, loss {loss}")
    if now := figures.get("evaluated"):
        window = "window_" if "window_accuracy" in now else ""
        if f"{window}accuracy" in now:
            said.append(f"{_right(now, window)} in the {'window' if window else 'stream'}")
        if "map_50" in now:
            said.append(f"mAP@0.5 {100 * now['map_50']:.1f} % in the stream")
    tested = figures.get("tested", {})
    if "accuracy" in tested:
        said.append(f"test {_right(tested)}")
    if "map_50" in tested:
        said.append(f"mAP@0.5 {100 * tested['map_50']:.1f} % in the test")
    if now := figures.get("published"):
        said.append(f"version {now['version']:.0f} {'serves' if now['serves'] else 'published'}")
    return ", ".join(said)


def _right(figures: Mapping[str, Any], prefix: str = "") -> str:
    """Return how many images were right."""
    return f"{100 * figures[prefix + 'accuracy']:.1f} % of {figures[prefix + 'n']:.0f} right"


@contextmanager
def stages(*, stderr: IO[str], quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Show done / total of what is done one after the other; nothing without a terminal."""
    if quiet or not stderr.isatty():
        yield lambda what, done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(file=stderr), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what)
            bar.update(tasks[what], completed=done, total=total)

        yield show


def print_summary(summary: Summary, outputs: Iterable[str]) -> None:
    """Say on standard error what a run did and where its output is."""
    ledger = summary.ledger
    skipped = f", {ledger.skipped} skipped" if ledger.skipped else ""
    print(
        f"{ledger.read} read, {ledger.recognised} recognised, {ledger.rejected} rejected{skipped} "
        f"in {summary.seconds:.1f} s ({summary.images_per_s:.1f} images/s, {summary.runner}, "
        f"workers: {summary.workers})",
        file=sys.stderr,
    )
    for output in outputs:
        print(f"wrote {output}", file=sys.stderr)


def print_results(path: Path, *, as_json: bool) -> None:
    """Print the results of a run: lines of JSON, or a line for people for each image."""
    stream = sys.stdout.buffer
    with open(path, "rb") as lines:
        for line in lines:
            stream.write(line if as_json else _for_people(orjson.loads(line)).encode())
    stream.flush()
    for row in read_rows(path.with_suffix(".rejected.jsonl")):
        print(f"rejected {row['uri']}: {row['reason']}: {row['message']}", file=sys.stderr)


def _for_people(row: Mapping[str, Any]) -> str:
    r"""Return one result as a short text.

    Examples:
        >>> _for_people(
        ...     {
        ...         "uri": "a.jpg",
        ...         "sequence": 0,
        ...         "classification": [{"label": "tabby", "class_id": 281, "score": 0.91}],
        ...     }
        ... )
        'a.jpg: tabby 0.91\n'
        >>> car = {"track_id": 3, "label": "car", "score": 0.8, "box_xyxy": [1.2, 2.0, 30.4, 40.0]}
        >>> _for_people({"uri": "a.mp4", "sequence": 7, "detections": [], "tracks": [car]})
        'a.mp4 frame 7: #3 car 0.80 at [1, 2, 30, 40]\n'
        >>> light = {"label": "traffic light", "state": {"label": "red", "score": 0.98}}
        >>> _for_people({"uri": "a.jpg", "sequence": 0, "detections": [light]})
        'a.jpg: traffic light: red 0.98\n'
        >>> face = {"score": 0.9, "person_id": "ann", "similarity": 0.71}
        >>> _for_people({"uri": "a.jpg", "sequence": 0, "faces": [face]})
        'a.jpg: ann 0.71\n'
    """
    found = []
    kinds = ("classification", "tracks" if "tracks" in row else "detections", "scene")
    for key in ("faces",) if "faces" in row else kinds:
        items = list(tracks_in(row)) if key == "tracks" else row.get(key, ())
        for item in items[: 3 if key == "scene" else None]:
            box = item.get("box_xyxy")
            place = f" at {[round(v) for v in box]}" if box else ""
            name = f"#{item['track_id']} " if item.get("track_id") else ""
            found.append(f"{name}{_said(item)}{place}")
    frame = f" frame {row['sequence']}" if row["uri"].lower().endswith(VIDEO_SUFFIXES) else ""
    return f"{row['uri']}{frame}: {', '.join(found) or 'nothing found'}\n"


def _said(item: Row) -> str:
    """Return what was said of an object or a face."""
    if closer := said_of(item):
        return f"{item['label']}: {closer[0]} {closer[1]:.2f}"
    if "label" in item:
        return f"{item['label']} {item['score']:.2f}"
    if "similarity" not in item:
        return f"face {item['score']:.2f}"
    return f"{item.get('person_id') or 'unknown'} {item['similarity']:.2f}"


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on standard output, wrapped to the terminal."""
    table = Table(*(Column(name, overflow="fold") for name in columns))
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else 160
    Console(width=width, markup=False).print(table)


def print_error(error: BaseException) -> None:
    """Print an error for a person: no stack, no Java."""
    print(f"sightflow: {error}", file=sys.stderr)
