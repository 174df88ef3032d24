"""`sightflow control`: change a job while it runs, by lines of a file that it follows."""

import json
from pathlib import Path
from typing import Any

import click

__all__ = ["control"]


@click.group()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--pipeline",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The YAML of the job: check the change against it first.",
)
@click.pass_context
def control(context: click.Context, file: Path, pipeline: Path | None) -> None:
    """Change options of steps, and cameras, of a job that runs.

    FILE is the file of lines that its pipeline names as `control`. The job takes a change within
    a second; what it makes of it is an event in its output.
    """
    context.obj = file, pipeline


@control.command("set")
@click.argument("option", metavar="STEP.OPTION")
@click.argument("value")
@click.pass_obj
def set_option(places: tuple[Path, Path | None], option: str, value: str) -> None:
    """Set an option of a step, such as detect.min_score 0.5.

    VALUE is JSON, or else a text.
    """
    try:
        said: Any = json.loads(value)
    except ValueError:
        said = value
    _send(places, {"set": option, "value": said})


@control.command("reset")
@click.argument("option", metavar="STEP.OPTION")
@click.pass_obj
def reset_option(places: tuple[Path, Path | None], option: str) -> None:
    """Let an option be as the pipeline says."""
    _send(places, {"reset": option})


@control.command("add-camera")
@click.argument("name")
@click.argument("url")
@click.option("--max-fps", type=click.FloatRange(0, min_open=True), help="Pictures a second.")
@click.pass_obj
def add_camera(
    places: tuple[Path, Path | None], name: str, url: str, max_fps: float | None
) -> None:
    """Read a camera as well, or one of this name with another URL."""
    limits = {} if max_fps is None else {"max_fps": max_fps}
    _send(places, {"camera": name, "url": url, **limits})


@control.command("remove-camera")
@click.argument("name")
@click.pass_obj
def remove_camera(places: tuple[Path, Path | None], name: str) -> None:
    """Read a camera no more; what steps remember of it is forgotten."""
    _send(places, {"remove_camera": name})


def _send(places: tuple[Path, Path | None], said: dict[str, Any]) -> None:
    """Add a message to the file, if it says something that can be."""
    from sightflow.sources.jsoncontrol import JsonControl, add_message
    from sightflow.tasks.control import check_message

    file, pipeline_file = places
    message = json.dumps(said).encode()
    if pipeline_file is None:
        check_message(message)
    else:
        from sightflow.configuration import read_pipeline

        pipeline, _ = read_pipeline(pipeline_file)
        _check_place(pipeline_file, pipeline.control, file)
        settings = pipeline.controlled_by(JsonControl(str(file))).settings
        if settings is not None:
            settings.change(message, {})
    add_message(file, message)


def _check_place(pipeline_file: Path, source: Any, file: Path) -> None:
    """Raise `click.UsageError` unless a pipeline takes messages from this file."""
    path = getattr(source, "path", None)
    if path is None or Path(path).resolve() != file.resolve():
        found = "has no `control`" if source is None else f"takes messages from {path or source!r}"
        raise click.UsageError(f"{file}: {pipeline_file} {found}; name the file that it reads")
