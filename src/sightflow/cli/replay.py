"""The command that reads the images of earlier results again, with another model or threshold."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sightflow.cli.learning import blank_options, values_of
from sightflow.cli.options import (
    add_options,
    run_options,
)
from sightflow.cli.page import page_beside
from sightflow.cli.running import (
    execute,
    get_ready,
    settings_of,
)
from sightflow.cli.streams import refuse

if TYPE_CHECKING:
    from sightflow.pipeline import Pipeline
    from sightflow.replay.report import Replayed
    from sightflow.replay.survey import Survey
    from sightflow.settings import RunSettings

__all__ = ["replay"]

_N_SAMPLES = 24
_N_CLASSES = 15


@click.command()
@click.argument("results", metavar="RESULTS")
@click.option("--model", help="As of the command that made the results [the one that made them].")
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    help="As of the command that made the results [its default].",
)
@click.option("--top-k", type=click.IntRange(1), help="Classes of an image [as in the results].")
@click.option(
    "--pipeline",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Replay the steps of a pipeline in YAML; its source and its sinks are left out.",
)
@add_options(blank_options)
@click.option(
    "--min-iou",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
    show_default=True,
    help="Boxes that overlap so much are at the same place.",
)
@click.option(
    "--labels",
    metavar="FILE",
    help="Who is right: .csv, .jsonl, or `folders` [labels in the results].",
)
@click.option(
    "--out", type=click.Path(), help="New results, .jsonl or .parquet [RESULTS.replay.jsonl]."
)
@click.option("--diff", type=click.Path(), help="File for the images that differ, .jsonl.")
@click.option("--report", type=click.Path(), help="Page with pictures that differ, .html.")
@click.option(
    "--samples",
    type=click.IntRange(0),
    default=_N_SAMPLES,
    show_default=True,
    help="Images of the report that differ most.",
)
@click.option("--json", "as_json", is_flag=True, help="Figures as JSON.")
@run_options
def replay(results: str, **options: Any) -> None:
    """Recognise the images of RESULTS again, and tell where it differs.

    RESULTS is a .jsonl or .parquet file, or the folder of a Dataset, of an earlier run. The same
    pictures and the same frames are read, those that were rejected too, by another model, with
    another threshold, or by the steps of another pipeline.
    """
    _check(results, options)
    from sightflow.dashboard.truth import label_reader
    from sightflow.replay.survey import survey
    from sightflow.sources.recorded import Recorded

    label_of = label_reader(options["labels"])
    recorded = Recorded(results)
    found = survey(recorded)
    _check_inputs(results, found)
    pipeline, settings = _pipeline(recorded, found, options)
    get_ready(options, n_images=found.n_images)
    from sightflow.replay.report import compare_runs
    from sightflow.replay.steps import thresholds_of
    from sightflow.sinks.results import JsonLines, Parquet

    sink = Parquet if options["out"].endswith(".parquet") else JsonLines
    pipeline = pipeline.write("results", sink(options["out"], overwrite=options["overwrite"]))
    summary = execute(
        pipeline, settings_of(options, settings), quiet=options["quiet"], page=page_beside(options)
    )
    if not summary.has_ended:
        return
    replayed = compare_runs(
        recorded,
        found,
        options["out"],
        min_iou=options["min_iou"],
        label_of=label_of,
        diff=options["diff"],
        n_samples=options["samples"] if options["report"] else 0,
        thresholds=thresholds_of((step.name, step.operator) for step in pipeline.all_steps),
    )
    _tell(replayed, options)


def _check(results: str, options: dict[str, Any]) -> None:
    """Refuse options that do not go together, and outputs that are taken."""
    from sightflow.storage.drafts import check_files

    refuse(
        (
            "://" in results and not options["out"],
            f"--out is needed: {results} is a URL, and the new results are a file of this machine",
        )
    )
    options["out"] = options["out"] or _beside(results)
    own = "model", "min_score", "top_k"
    blanks = "data", "registry", "more"
    refuse(
        *(
            (
                options["pipeline"] and options[name] is not None,
                f"--{name.replace('_', '-')} and --pipeline exclude each other: set it in the file",
            )
            for name in own
        ),
        (
            not options["pipeline"] and any(options[name] for name in blanks),
            "--data, --registry and --set fill the blanks of --pipeline FILE",
        ),
        (
            not options["out"].endswith((".jsonl", ".parquet")),
            f"--out {options['out']}: the ending must be .jsonl or .parquet",
        ),
        *(
            (
                options[name] and not options[name].endswith(f".{suffix}"),
                f"--{name} {options[name]}: the ending must be .{suffix}",
            )
            for name, suffix in (("diff", "jsonl"), ("report", "html"))
        ),
    )
    outputs = [options[name] for name in ("out", "diff", "report") if options[name]]
    places = [os.path.realpath(path) for path in (results, *outputs)]
    refuse((len(set(places)) < len(places), "RESULTS, --out, --diff and --report are four files"))
    check_files(outputs[1:], overwrite=options["overwrite"])


def _beside(results: str) -> str:
    """Return where the new results are by default."""
    root, ending = os.path.splitext(results)
    return f"{root if ending in ('.jsonl', '.parquet') else results.rstrip('/')}.replay.jsonl"


def _check_inputs(results: str, found: "Survey") -> None:
    """Refuse results none of whose images can be read again."""
    reasons = "; ".join(found.left.reasons())
    refuse(
        (
            not found.n_images and found.left.n,
            f"{results}: no image can be read again: {reasons}",
        ),
        (not found.n_images, f"{results}: has no rows; there is nothing to replay"),
    )


def _pipeline(
    recorded: Any, found: "Survey", options: dict[str, Any]
) -> "tuple[Pipeline, RunSettings]":
    """Return the pipeline of a replay, without its sink, and how to run it."""
    from dataclasses import replace

    from sightflow.pipeline import Pipeline
    from sightflow.replay.steps import steps_for
    from sightflow.settings import RunSettings

    if options["pipeline"] is None:
        pipeline = Pipeline(recorded, name="sightflow replay")
        for name, operator in steps_for(found, options):
            pipeline = pipeline.apply(name, operator)
        return pipeline, RunSettings()
    from sightflow.configuration import read_pipeline

    described, settings = read_pipeline(options["pipeline"], values_of(options))
    if described.learning:
        raise click.UsageError(
            f"{options['pipeline']}: step {described.learning[0].name!r} learns or compares; a "
            "replay has steps that recognise: leave it out"
        )
    pipeline = replace(described, source=recorded, sinks=(), control=None)
    options["runner"] = options["runner"] or settings.runner
    return pipeline, settings


def _tell(replayed: "Replayed", options: dict[str, Any]) -> None:
    """Print the figures, and write the report."""
    if options["report"]:
        from sightflow.dashboard.replay import write_replay_report

        write_replay_report(Path(options["report"]), replayed.page())
    if options["as_json"]:
        import json

        click.echo(json.dumps(replayed.as_dict(), indent=2))
    else:
        _print(replayed)
    if replayed.doubt:
        click.echo(f"sightflow: {replayed.doubt}", err=True)
    for name in ("diff", "report"):
        if options[name] and not options["quiet"]:
            click.echo(f"wrote {options[name]}", err=True)


def _print(replayed: "Replayed") -> None:
    from sightflow.cli import console

    console.print_table(("images", ""), replayed.rows())
    classes = list(_classes(replayed))
    if classes:
        console.print_table(
            ("class", "A", "B", "kept", "lost", "gained", "other label in B"), classes[:_N_CLASSES]
        )
    if len(classes) > _N_CLASSES:
        click.echo(f"and {len(classes) - _N_CLASSES} more classes")


def _classes(replayed: "Replayed") -> Iterator[Sequence[str]]:
    for label, one in replayed.changed_classes():
        counts = one.n_a, one.n_b, one.kept + one.moved, one.lost, one.gained, one.was
        yield label, *(f"{n:,}" for n in counts)
