"""Commands about a Flink cluster: submit a pipeline, list jobs, cancel, save and restore them."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sightflow.cli.fields import FieldOption, given
from sightflow.cli.learning import blank_options, values_of
from sightflow.cli.options import (
    add_options,
    quiet_option,
    upgrade_options,
)

if TYPE_CHECKING:
    from sightflow.flink.rest import Rest

__all__ = ["cancel", "jobs", "restore", "savepoint", "submit"]

_SETTINGS = "sightflow.settings:ClusterSettings"
_DEFAULT_REST = "http://127.0.0.1:8081"

_rest_option = click.option(
    "--rest",
    metavar="URL",
    default=_DEFAULT_REST,
    show_default=True,
    help="REST of the cluster.",
)
_file_argument = click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
_job_argument = click.argument("job")


def _submit_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of both commands that submit."""
    options = [
        *blank_options,
        _rest_option,
        *upgrade_options,
        click.option("--parallelism", type=click.IntRange(1), help="Workers [every free slot]."),
        click.option(
            "--env",
            cls=FieldOption,
            field=f"{_SETTINGS}.env",
            metavar="auto|none|FILE.zip",
            help="Python packages to send: those of Sightflow as here, none, or packed ones.",
        ),
        click.option(
            "--package",
            "packages",
            multiple=True,
            type=click.Path(),
            help="Folder of a package, or a .py file, of your own to send; may be given again.",
        ),
        click.option(
            "--shared",
            multiple=True,
            type=click.Path(),
            help="Folder that all machines have in the same place; may be given again.",
        ),
        click.option("--state-dir", metavar="URL", help="For checkpoints [that of the cluster]."),
        click.option(
            "--python",
            cls=FieldOption,
            field=f"{_SETTINGS}.python",
            help="What TaskManagers run Python with.",
        ),
        click.option(
            "--wait-for-slots",
            is_flag=True,
            help="Submit where too few slots are free: the cluster starts TaskManagers.",
        ),
        quiet_option,
    ]
    return add_options(options)(command)


@click.command()
@_file_argument
@click.option("--from-savepoint", metavar="URL", help="Go on from this savepoint or checkpoint.")
@_submit_options
def submit(file: Path, *, from_savepoint: str | None, **options: Any) -> None:
    """Submit the pipeline of a YAML FILE to a Flink cluster; the job stays there.

    The id of the job is printed once all its tasks run.
    """
    _submit(file, options, from_savepoint)


@click.command()
@_file_argument
@click.option("--from", "savepoint", metavar="URL", required=True, help="Savepoint or checkpoint.")
@_submit_options
def restore(file: Path, *, savepoint: str, **options: Any) -> None:
    """Submit the pipeline of a YAML FILE so that it goes on from a savepoint or checkpoint."""
    _submit(file, options, savepoint)


def _submit(file: Path, options: Mapping[str, Any], savepoint: str | None) -> None:
    from sightflow.cli import console
    from sightflow.configuration import read_pipeline
    from sightflow.runners import submit as submit_pipeline

    pipeline, settings = read_pipeline(file, values_of(options))
    if options["parallelism"]:
        settings = replace(settings, workers=options["parallelism"])
    quiet = options["quiet"]
    with console.without_native_noise() as stderr:
        submitted = submit_pipeline(
            pipeline,
            settings,
            rest_url=options["rest"],
            on_stage=lambda words: None if quiet else print(words, file=stderr, flush=True),
            from_savepoint=savepoint,
            upgrade=options["upgrade"],
            drop_state=tuple(options["drop_state"]),
            wait_for_slots=options["wait_for_slots"],
            packages=tuple(options["packages"]),
            shared=tuple(options["shared"]),
            **given(options, "env", "state_dir", "python"),
        )
    click.echo(submitted.job_id)
    if not quiet:
        images = "a stream" if submitted.n_images is None else f"{submitted.n_images} images"
        print(
            f"{pipeline.name}: {images}, workers: {submitted.workers}, "
            f"{submitted.n_bytes / 1e6:.1f} MB sent, runs after {submitted.seconds:.1f} s",
            file=sys.stderr,
        )


@click.command()
@_rest_option
@click.option("--json", "as_json", is_flag=True, help="As lines of JSON.")
def jobs(rest: str, *, as_json: bool) -> None:
    """List the jobs of a cluster: state, ledger, checkpoints; the newest first."""
    from sightflow.cli import console
    from sightflow.flink.jobs import COLUMNS, list_jobs

    rows = list_jobs(_rest(rest))
    if as_json:
        import orjson

        for row in rows:
            click.echo(orjson.dumps(row))
        return
    shown = [["-" if row[name] is None else str(row[name]) for name in COLUMNS] for row in rows]
    console.print_table([name.replace("_", " ") for name in COLUMNS], shown)


@click.command()
@_job_argument
@_rest_option
def cancel(job: str, rest: str) -> None:
    """Cancel a JOB, by its id or name; its checkpoints stay."""
    from sightflow.flink.jobs import cancel as cancel_job
    from sightflow.flink.jobs import find_job

    cluster = _rest(rest)
    job_id = find_job(cluster, job)
    cancel_job(cluster, job_id)
    click.echo(f"{job_id}: cancelled")


@click.command()
@_job_argument
@_rest_option
@click.option("--dir", "folder", metavar="URL", help="Folder for it [that of the job].")
@click.option("--stop", is_flag=True, help="End the job with it: nothing is done twice later.")
def savepoint(job: str, rest: str, folder: str | None, *, stop: bool) -> None:
    """Write a savepoint of a JOB, by its id or name, and print its URL, for `restore`."""
    from sightflow.flink.jobs import find_job, save

    cluster = _rest(rest)
    click.echo(save(cluster, find_job(cluster, job), folder=folder, stop=stop))


def _rest(url: str) -> "Rest":
    from sightflow.flink.rest import Rest

    return Rest(url)
