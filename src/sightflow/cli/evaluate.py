"""Commands that hold results against a truth."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sightflow.cli.learning import (
    config_argument,
    filled,
    learning_options,
    print_learning,
    run_to_report,
)

if TYPE_CHECKING:
    from sightflow.pipeline import Pipeline

__all__ = ["evaluate"]

_RATIOS = {
    "HOTA %": "hota",
    "DetA %": "det_a",
    "AssA %": "ass_a",
    "LocA %": "loc_a",
    "IDF1 %": "idf1",
    "IDP %": "idp",
    "IDR %": "idr",
    "MOTA %": "mota",
    "MOTP %": "motp",
}
_COUNTS = {
    "IDSW": "n_id_switches",
    "Frag": "n_fragmentations",
    "FP": "n_false_positives",
    "FN": "n_misses",
    "MT": "n_mostly_tracked",
    "ML": "n_mostly_lost",
}


class _Evaluate(click.Group):
    """A group whose command `pipeline` need not be named."""

    ignore_unknown_options = True
    """Those before CONFIG are options of `pipeline`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of a call, and the words behind its name."""
        named = args[0] in self.commands
        return super().resolve_command(ctx, args if named else ["pipeline", *args])


@click.group(cls=_Evaluate)
def evaluate() -> None:
    """Hold results against a truth.

    `sightflow evaluate CONFIG` is `sightflow evaluate pipeline CONFIG`.
    """


@evaluate.command("pipeline")
@config_argument
@learning_options(out="evaluation")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def evaluate_pipeline(config: Path, *, as_json: bool, **options: Any) -> None:
    """Test a model as CONFIG says: a pipeline in YAML that has a step of a kind that tests.

    Evaluate tests what a step before it classifies, by the labels of the source; EvaluateObjects
    what one detects, by the objects of its images. report.html shows how good it is.
    """
    from sightflow.engine.plan import informed
    from sightflow.learn.evaluate import Evaluate
    from sightflow.learn.evaluate_objects import EvaluateObjects
    from sightflow.learn.train import Train

    pipeline, settings = filled(config, options)
    operators = [step.operator for step in pipeline.learning]
    if any(isinstance(operator, Train) for operator in operators):
        raise click.UsageError(f"{config}: has a step that trains; call `sightflow train {config}`")
    if not any(isinstance(operator, (Evaluate, EvaluateObjects)) for operator in operators):
        raise click.UsageError(f"{config}: has no step of the kind Evaluate or EvaluateObjects")
    pipeline = informed(pipeline)
    _check_labels(pipeline)
    folder = options["out"] or Path(f"{config.stem}-evaluation")
    learning, report = run_to_report(pipeline, settings, config, options, folder=folder)
    if as_json:
        import json

        models = [
            {"model": model.card.name, "version": model.version, "reference": model.reference}
            for model in pipeline.models
        ]
        found = {"models": models, **learning.as_dict(), "report": str(report)}
        click.echo(json.dumps(found, indent=2))
    else:
        print_learning(learning)


def _check_labels(pipeline: "Pipeline") -> None:
    """Refuse a test in which the models know none of the labels, and warn where they lack some."""
    from sightflow.learn.evaluate import Evaluate
    from sightflow.learn.evaluate_objects import EvaluateObjects

    kinds = Evaluate, EvaluateObjects
    steps = [step.operator for step in pipeline.learning]
    labels = {one for step in steps if isinstance(step, kinds) for one in step.labels}
    known = {label for model in pipeline.models for label in model.card.labels}
    missing = sorted(labels - known)
    if not known or not missing:
        return
    lacks = f"{', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}"
    if set(missing) == labels:
        some = ", ".join(sorted(known)[:5])
        raise click.UsageError(
            f"the model knows none of the labels of the source: {lacks}; it knows {some} and so on"
        )
    click.echo(f"the model does not know: {lacks}", err=True)


@evaluate.command("tracks")
@click.option("--truth", "truths", multiple=True, required=True, metavar="PATH", help="A gt.txt.")
@click.option(
    "--predictions",
    multiple=True,
    required=True,
    metavar="PATH",
    help="The tracks that were found, in MOT Challenge text.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def evaluate_tracks(*, truths: Sequence[str], predictions: Sequence[str], as_json: bool) -> None:
    """Score tracks: HOTA, IDF1, MOTA and what they are made of, as TrackEval does.

    For several sequences give both options several times, in the same order.
    """
    if len(truths) != len(predictions):
        raise click.UsageError(
            "give as many --truth as --predictions, in the same order; "
            f"got {len(truths)} and {len(predictions)}"
        )
    from sightflow.metrics.tracking import TrackingMetrics
    from sightflow.storage.motfile import read_mot

    metrics = TrackingMetrics()
    for path, found in zip(truths, predictions, strict=True):
        truth = read_mot(path)
        if truth.class_ids is not None:
            click.echo(f"{path}: its classes are not read; every row with score 1 counts", err=True)
        metrics.update(found, truth, read_mot(found))
    scores = {name: found.as_dict() for name, found in metrics.by_sequence().items()}
    combined = metrics.compute().as_dict()
    if as_json:
        import json

        click.echo(json.dumps({"sequences": scores, "combined": combined}, indent=2))
        return
    from sightflow.cli import console

    columns = {**scores, **({"all": combined} if len(scores) > 1 else {})}
    ratios = [
        (shown, *(f"{100 * found[name]:.2f}" for found in columns.values()))
        for shown, name in _RATIOS.items()
    ]
    counts = [
        (shown, *(str(found[name]) for found in columns.values()))
        for shown, name in _COUNTS.items()
    ]
    console.print_table(("", *columns), [*ratios, *counts])
