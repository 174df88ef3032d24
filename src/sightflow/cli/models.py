"""Commands about models: which ship, and int8 forms of them."""

import sys
from pathlib import Path
from typing import Any

import click

__all__ = ["models"]


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="As lines of JSON.")
@click.pass_context
def models(context: click.Context, *, as_json: bool) -> None:
    """List the models that ship: task, input, licence, sha256, accuracy as measured."""
    if context.invoked_subcommand:
        return
    from sightflow import console
    from sightflow.models.listing import COLUMNS, list_models

    rows = list_models()
    if as_json:
        import json

        for row in rows:
            click.echo(json.dumps(row))
        return
    console.print_table(COLUMNS, [[row[column] for column in COLUMNS] for row in rows])


@models.command("quantize")
@click.argument("model")
@click.option("--data", required=True, metavar="DIR", help="Pictures like those to recognise.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A file, .onnx.")
@click.option(
    "--images",
    "n_images",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    help="Calibrate on so many pictures; as many others are compared on.",
)
@click.option(
    "--per-channel/--no-per-channel",
    default=True,
    show_default=True,
    help="A scale for each channel of a layer, or one for the layer.",
)
@click.option("--overwrite", is_flag=True, help="Replace the files of an earlier call.")
def quantize_model(model: str, **options: Any) -> None:
    """Write an int8 form of a classifier, and measure what it costs and gains.

    MODEL is a name (see `sightflow models`), or an .onnx file with its card.
    """
    from sightflow import console
    from sightflow.models import find_model
    from sightflow.quantizer import COLUMNS, quantize

    with console.without_native_noise() as stderr, console.stages(stderr=stderr) as on_progress:
        report = quantize(find_model(model), on_progress=on_progress, **options)
    console.print_table(COLUMNS, report.rows())
    print(report.summary(), file=sys.stderr)
