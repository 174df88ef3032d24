"""Commands that hold results against a truth."""

from collections.abc import Sequence

import click

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


@click.group()
def evaluate() -> None:
    """Hold results against a truth."""


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
    from sightflow.metrics import TrackingMetrics
    from sightflow.motfile import read_mot

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
    from sightflow import console

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
