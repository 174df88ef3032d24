"""What the commands that train and test share: their options, the run, its report."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sightflow.cli.fields import given
from sightflow.cli.metrics import metrics_options, metrics_settings
from sightflow.cli.options import (
    add_options,
    overwrite_option,
    quiet_option,
    runner_option,
    state_options,
    workers_option,
)
from sightflow.cli.page import page_beside, page_options
from sightflow.cli.running import (
    execute,
    state_settings,
)

if TYPE_CHECKING:
    from sightflow.dashboard.learning import Learning
    from sightflow.pipeline import Pipeline
    from sightflow.records.ledger import Summary
    from sightflow.settings import RunSettings

__all__ = [
    "blank_options",
    "config_argument",
    "filled",
    "learning_options",
    "print_learning",
    "run_to_report",
    "values_of",
]

_N_TESTS = 5
_RATES = {"precision %": "precision", "recall %": "recall", "F1 %": "f1"}
_OF_TESTS = {
    "n": "n",
    "objects": "n_objects",
    "false": "n_false",
    **_RATES,
    "mAP@0.5 %": "map_50",
    "mAP %": "map",
}
_OF_CLASSES = {
    "objects": "n",
    "false": "n_false",
    **_RATES,
    "AP@0.5 %": "ap_50",
    "AP %": "ap",
}
"""Columns of tables about objects, and the figures in them."""

config_argument = click.argument(
    "config", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)


blank_options = (
    click.option("--data", metavar="DIR", help="What ${data} in CONFIG stands for."),
    click.option("--registry", metavar="DIR", help="What ${registry} in CONFIG stands for."),
    click.option(
        "--set",
        "more",
        multiple=True,
        metavar="NAME=VALUE",
        help="What ${NAME} in CONFIG stands for; may be given again.",
    ),
)
"""What stands for the blanks of a file."""


def learning_options(*, out: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options of both commands; `out` is the end of the folder's default name."""
    options = [
        *blank_options,
        click.option(
            "--out",
            type=click.Path(file_okay=False, path_type=Path),
            help=f"Folder for events.jsonl, rejected.jsonl, report.html [CONFIG-{out}].",
        ),
        runner_option("Embedded Flink, or this process [as in CONFIG]."),
        workers_option("as in CONFIG"),
        *state_options,
        *page_options,
        *metrics_options,
        overwrite_option,
        quiet_option,
    ]
    return add_options(options)


def filled(config: Path, options: Mapping[str, Any]) -> "tuple[Pipeline, RunSettings]":
    """Return the pipeline of a file, and how it is run, with the values of a call."""
    from sightflow.configuration import read_pipeline

    pipeline, settings = read_pipeline(config, values_of(options))
    return pipeline, replace(
        settings,
        **given(options, "runner", "workers"),
        **state_settings(options),
        **metrics_settings(options),
    )


def values_of(options: Mapping[str, Any]) -> dict[str, str]:
    """Return what the blanks of the file stand for."""
    values = {name: options[name] for name in ("data", "registry") if options[name]}
    for pair in options["more"]:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise click.UsageError(f"--set {pair!r} must be NAME=VALUE")
        values[name] = value
    return values


def run_to_report(
    pipeline: "Pipeline",
    settings: "RunSettings",
    config: Path,
    options: Mapping[str, Any],
    *,
    folder: Path,
) -> "tuple[Learning, Path]":
    """Run a pipeline, and write what it told and a report of it.

    Returns:
        What it told, and where the report is.
    """
    from sightflow.dashboard.training import write_training_report
    from sightflow.sinks.events import JsonEvents, JsonRejected
    from sightflow.storage.drafts import check_files

    events, report = folder / "events.jsonl", folder / "report.html"
    check_files([str(report)], overwrite=options["overwrite"])
    folder.mkdir(parents=True, exist_ok=True)
    sink = JsonEvents(str(events), overwrite=options["overwrite"])
    rejected = JsonRejected(str(folder / "rejected.jsonl"), overwrite=options["overwrite"])
    told = pipeline.write("events of learning", sink).write("rejected images", rejected)
    summary = execute(told, settings, quiet=options["quiet"], page=page_beside(options))
    if summary.ledger.rejected and not options["quiet"]:
        click.echo(f"{_reasons(folder / 'rejected.jsonl')}; see {rejected.path}", err=True)
    facts = {**_facts(config, summary), **_models(pipeline)}
    learning = write_training_report(report, pipeline.name, events, facts=facts)
    if not options["quiet"]:
        click.echo(f"wrote {report}", err=True)
    return learning, report


def _reasons(path: Path) -> str:
    """Return why images were rejected, and how many for each reason."""
    from sightflow.storage.jsonlines import read_rows

    reasons = Counter(row["reason"] for row in read_rows(path))
    return "rejected: " + ", ".join(f"{n} {reason}" for reason, n in reasons.most_common())


def _models(pipeline: "Pipeline") -> dict[str, str]:
    """Return which models recognised, by name, version and place."""
    named = (f"{m.card.name}, version {m.version} ({m.reference})" for m in pipeline.models)
    facts = {"model": "; ".join(named)} if any(pipeline.models) else {}
    starts = (getattr(step.operator, "start", None) for step in pipeline.learning)
    begun = "; ".join(str(start.address) for start in starts if start is not None)
    return {**facts, **({"begun with": begun} if begun else {})}


def _facts(config: Path, summary: "Summary") -> dict[str, str]:
    """Return what the report says of a run."""
    ledger = summary.ledger
    return {
        "images": f"{ledger.read} read, {ledger.rejected} rejected, {ledger.skipped} skipped",
        "run": f"{summary.seconds:.1f} s, {summary.images_per_s:.1f} images/s, {summary.runner}, "
        f"workers: {summary.workers}",
        "configuration": str(config),
    }


def print_learning(learning: "Learning") -> None:
    """Print how good it is, and which versions were published."""
    from sightflow.cli import console

    rows = list(_rows(learning.of_classes))
    if rows:
        columns = "images", "n", "accuracy %", "top k %", "log loss", "calibration error"
        console.print_table(columns, rows)
    _print_objects(learning.of_objects)
    trained = learning.last("trained")
    if trained is not None and trained.figures.get("n_unknown"):
        n_unknown = trained.figures["n_unknown"]
        click.echo(f"{n_unknown:.0f} labels that came later are none of the classes", err=True)
    if learning.labels_later:
        click.echo(f"labels that came later: {learning.labels_later}")
        if not learning.joined.get("n_joined"):
            click.echo(
                "no label found its image: do `source_id` and `sequence` of the labels name images "
                "of this run?",
                err=True,
            )
    for one in learning.of("published"):
        serves = "serves" if one.figures["serves"] else "does not serve"
        click.echo(f"published {one.event['uri']}: {serves}, {one.event['reason']}")


def _print_objects(learning: "Learning") -> None:
    """Print how well objects were found: in all, and those of each class."""
    from sightflow.cli import console

    tests = [(f"test {number}", test) for number, test in enumerate(learning.of("tested"), 1)]
    evaluated = learning.last("evaluated")
    told = [*tests[-_N_TESTS:], *([("stream", evaluated)] if evaluated else [])]
    if told:
        rows = [_object_row(name, one.figures, _OF_TESTS) for name, one in told]
        console.print_table(("images", *_OF_TESTS), rows)
    for part in learning.details[:1]:
        rows = [_object_row(e["label"], e["figures"], _OF_CLASSES) for e in part.scored]
        name = f"class, {'last test' if part.held_out else 'stream'}"
        console.print_table((name, *_OF_CLASSES), rows)


def _object_row(
    name: str, figures: Mapping[str, Any], columns: Mapping[str, str]
) -> tuple[str, ...]:
    """Return figures as texts: counts, shares as percents, and - for what there is not."""
    return name, *(_text(figures.get(key), shown) for shown, key in columns.items())


def _text(value: float | None, column: str) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.2f}" if column.endswith("%") else f"{value:.0f}"


def _rows(learning: "Learning") -> Iterator[tuple[str, ...]]:
    """Yield a row for each of the last tests, for the window, and for the whole stream."""
    tests = learning.of("tested")
    for number, test in list(enumerate(tests, 1))[-_N_TESTS:]:
        yield _row(f"test {number}", test.figures)
    evaluated = learning.last("evaluated")
    if evaluated is None:
        return
    if evaluated.figures.get("window_n", 0) < evaluated.figures["n"]:
        yield _row("window", evaluated.figures, "window_")
    yield _row("stream", evaluated.figures)


def _row(name: str, figures: Mapping[str, Any], prefix: str = "") -> tuple[str, ...]:
    """Return figures as texts; of no images there are none."""
    if prefix + "accuracy" not in figures:
        return name, "0", "-", "-", "-", "-"
    n, *shares = (figures[prefix + key] for key in ("n", "accuracy", "top_k_accuracy"))
    others = (figures[prefix + key] for key in ("log_loss", "calibration_error"))
    return (
        name,
        f"{n:.0f}",
        *(f"{100 * share:.2f}" for share in shares),
        *(f"{v:.4f}" for v in others),
    )
