"""Commands that run a pipeline."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sightflow.cli.fields import FieldChoice, FieldOption, given
from sightflow.cli.learning import blank_options, values_of
from sightflow.cli.metrics import metrics_options, metrics_settings
from sightflow.cli.options import (
    add_options,
    model_option,
    overwrite_option,
    quiet_option,
    reading_options,
    run_options,
    upgrade_options,
)
from sightflow.cli.page import page_beside, page_options
from sightflow.cli.running import (
    chosen_model,
    events_file,
    execute,
    get_ready,
    holds_a_run,
    run_to_out,
    run_with,
    source_of,
    state_settings,
)

if TYPE_CHECKING:
    from sightflow.pipeline import Pipeline

__all__ = ["classify", "detect", "preprocess", "run_file"]


_paths = click.argument("paths", nargs=-1, required=True, metavar="PATH...")


_CLASSIFY = "sightflow.tasks.classify:Classify"
_DETECT = "sightflow.tasks.detect:Detect"
_PICTURES = "sightflow.sinks.images:ImageFolder"

_follow_option = click.option(
    "--follow",
    is_flag=True,
    help="Switch to whichever version of REGISTRY/NAME is promoted, while the job runs.",
)


def _min_score_option(task: str) -> Callable[..., Any]:
    return click.option(
        "--min-score", cls=FieldOption, field=f"{task}.min_score", type=click.FloatRange(0, 1)
    )


def _out_option(*, parquet: bool) -> Callable[..., Any]:
    kinds = ".jsonl, .parquet or .csv" if parquet else ".jsonl"
    return click.option("--out", type=click.Path(), help=f"File for the results, {kinds}.")


@click.command()
@_paths
@reading_options()
@run_options
@_out_option(parquet=True)
@click.option("--top-k", cls=FieldOption, field=f"{_CLASSIFY}.top_k", type=click.IntRange(1))
@_min_score_option(_CLASSIFY)
@model_option(_CLASSIFY)
@_follow_option
@click.option("--shadow", help="A second model on trial; --events tells where they differ.")
@click.option("--events", type=click.Path(), help="With --shadow: file for differences, .jsonl.")
@click.option("--scenes", is_flag=True, help="Also name the scene: coast, kitchen, street, ...")
@click.option("--annotate", type=click.Path(), metavar="DIR", help="Folder for labelled pictures.")
def classify(**options: Any) -> None:
    """Name the main subject of each image."""
    get_ready(options)
    from sightflow.tasks.classify import Classify

    step = Classify(
        **chosen_model(options),
        **given(options, "top_k", "min_score", "scenes"),
        follow=_following(options),
    )
    if options["events"] and not options["shadow"]:
        raise click.UsageError("--events goes with --shadow")
    _recognise("classify", step, options, *_on_trial(options))


def _on_trial(options: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the steps of a second model."""
    if not options["shadow"]:
        return []
    from sightflow.learn.compare import Compare
    from sightflow.models import find_model
    from sightflow.tasks.shadow import Shadow

    shadow = Shadow(find_model(options["shadow"]), **given(options, "top_k"))
    return [("shadow", shadow), *([("compare", Compare())] if options["events"] else [])]


@click.command()
@_paths
@reading_options()
@run_options
@_out_option(parquet=True)
@_min_score_option(_DETECT)
@model_option(_DETECT)
@_follow_option
@click.option(
    "--annotate", type=click.Path(), metavar="DIR", help="Folder for pictures with boxes."
)
def detect(**options: Any) -> None:
    """Find objects in each image: boxes, labels, scores."""
    get_ready(options)
    from sightflow.tasks.detect import Detect

    step = Detect(
        **chosen_model(options), **given(options, "min_score"), follow=_following(options)
    )
    _recognise("detect", step, options)


def _following(options: dict[str, Any]) -> bool:
    """Return whether the step follows a published model."""
    if options["follow"] and "@" in (options["model"] or ""):
        raise click.UsageError("--follow goes with REGISTRY/NAME, not with a certain @VERSION")
    return bool(options["follow"])


def _recognise(name: str, step: Any, options: dict[str, Any], *more: tuple[str, Any]) -> None:
    """Run a step, and perhaps more, over the paths, into a file or onto standard output."""
    from sightflow.pipeline import Pipeline
    from sightflow.sinks.events import JsonEvents
    from sightflow.sinks.images import AnnotatedImages

    pipeline = Pipeline(source_of(options), name=f"sightflow {name}").apply(name, step)
    for other, operator in more:
        pipeline = pipeline.apply(other, operator)
    if options.get("events"):
        events = JsonEvents(events_file(options["events"]), overwrite=options["overwrite"])
        pipeline = pipeline.write("events", events)
    if options["annotate"]:
        sink = AnnotatedImages(options["annotate"], overwrite=options["overwrite"])
        pipeline = pipeline.write("pictures", sink)
    run_to_out(pipeline, options)


@click.command()
@_paths
@reading_options()
@run_options
@click.option("--out", type=click.Path(), required=True, metavar="DIR", help="Folder to fill.")
@click.option("--size", type=click.IntRange(1), help="Side of the square result, in pixels.")
@click.option(
    "--fit",
    type=click.Choice(["crop", "letterbox", "stretch"]),
    default="crop",
    show_default=True,
    help="How a picture becomes a square: cut, framed, or pulled.",
)
@click.option("--resize", type=click.IntRange(1), help="Length of the short side before a crop.")
@click.option(
    "--interpolation",
    type=FieldChoice("sightflow.ops.preprocess:Preprocess.interpolation"),
    default="area",
    show_default=True,
)
@click.option("--mean", type=float, nargs=3, help="Subtract R G B (of 0..255); needs npy.")
@click.option("--std", type=float, nargs=3, help="Divide by R G B after that; needs npy.")
@click.option(
    "--format",
    cls=FieldOption,
    field=f"{_PICTURES}.format",
    type=FieldChoice(f"{_PICTURES}.format"),
)
@click.option(
    "--quality", cls=FieldOption, field=f"{_PICTURES}.quality", type=click.IntRange(1, 100)
)
def preprocess(**options: Any) -> None:
    """Decode, scale, crop and normalise pictures into a folder.

    Beside the pictures, DIR/index.jsonl lists what was prepared and DIR/index.rejected.jsonl what
    could not be, and why.
    """
    get_ready(options)
    from sightflow.pipeline import Pipeline
    from sightflow.sinks.images import ImageFolder
    from sightflow.sinks.results import JsonLines
    from sightflow.tasks.prepare import Prepare

    directory = options["out"]
    folder = ImageFolder(directory, **given(options, "format", "quality", "overwrite"))
    index = JsonLines(str(Path(directory, "index.jsonl")), overwrite=options["overwrite"])
    pipeline = (
        Pipeline(source_of(options), name="sightflow preprocess")
        .apply("prepare", Prepare(_preprocess(options)))
        .write("pictures", folder)
        .write("index", index)
    )
    run_with(pipeline, options)


def _preprocess(options: dict[str, Any]) -> Any:
    from sightflow.ops.preprocess import Preprocess

    size, fit = options["size"], options["fit"]
    if options["resize"] and fit != "crop":
        raise click.UsageError(f"--resize goes with --fit crop; --fit {fit} scales by itself")
    square = None if size is None else (size, size)
    if (options["mean"] or options["std"]) and options["format"] != "npy":
        raise click.UsageError("--mean and --std make numbers, not pictures; add --format npy")
    return Preprocess(
        resize=options["resize"] or (size if fit == "crop" else None),
        crop=square if fit == "crop" else None,
        letterbox=square if fit == "letterbox" else None,
        stretch=square if fit == "stretch" else None,
        interpolation=options["interpolation"],
        mean=options["mean"] or None,
        std=options["std"] or None,
    )


@click.command("run")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Only check the file, the models and the outputs.")
@add_options(blank_options)
@add_options(upgrade_options)
@add_options(page_options)
@add_options(metrics_options)
@overwrite_option
@quiet_option
def run_file(file: Path, *, check: bool, overwrite: bool, quiet: bool, **options: Any) -> None:
    """Run the pipeline that a YAML FILE describes (docs/reference/pipelines.md)."""
    from sightflow.configuration import read_pipeline

    pipeline, settings = read_pipeline(file, values_of(options))
    settings = replace(settings, **state_settings(options), **metrics_settings(options))
    if overwrite:
        pipeline = _overwriting(pipeline)
    if check:
        goes_on = settings.state_dir is not None and holds_a_run(settings.state_dir)
        pipeline.check(without_sinks=[named.name for named in pipeline.sinks] if goes_on else ())
        click.echo(f"{file}: in order{f'; goes on from {settings.state_dir}' if goes_on else ''}")
        return
    execute(pipeline, settings, quiet=quiet, page=page_beside(options))


def _overwriting(pipeline: "Pipeline") -> "Pipeline":
    """Return a pipeline whose sinks replace what an earlier run has written, where they can."""

    def overwriting(sink: Any) -> Any:
        return replace(sink, overwrite=True) if hasattr(sink, "overwrite") else sink

    sinks = tuple(replace(named, sink=overwriting(named.sink)) for named in pipeline.sinks)
    return replace(pipeline, sinks=sinks)
