"""The options that the commands which run a pipeline share."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from sightflow.cli.fields import FieldChoice, FieldOption
from sightflow.cli.metrics import metrics_options
from sightflow.cli.page import page_options

__all__ = [
    "add_options",
    "model_option",
    "overwrite_option",
    "quiet_option",
    "reading_options",
    "run_options",
    "runner_option",
    "state_options",
    "upgrade_options",
    "workers_option",
]

_SETTINGS = "sightflow.settings:RunSettings"

overwrite_option = click.option(
    "--overwrite",
    is_flag=True,
    help="Replace the output of an earlier run; one that goes on keeps its own.",
)
quiet_option = click.option("--quiet", is_flag=True, help="No progress, no summary.")
upgrade_options = (
    click.option(
        "--upgrade", is_flag=True, help="Go on from the state of a run though the pipeline changed."
    ),
    click.option(
        "--drop-state",
        multiple=True,
        metavar="NAME",
        help="With --upgrade: a step or sink whose state may be lost; may be repeated.",
    ),
)
state_options = (
    click.option(
        "--state-dir",
        type=click.Path(file_okay=False),
        help="Keep checkpoints here; a call that died goes on from them when it is repeated.",
    ),
    *upgrade_options,
)


def runner_option(words: str) -> Callable[..., Any]:
    """Return the option `--runner` with this help."""
    return click.option("--runner", type=FieldChoice(f"{_SETTINGS}.runner"), help=words)


def workers_option(default: str) -> Callable[..., Any]:
    """Return the option `--workers`; without it there are as many as `default` says."""
    return click.option("--workers", type=click.IntRange(1), help=f"Parallel workers [{default}].")


def model_option(
    task: str,
    name: str = "model",
    help: str = "Name that ships, .onnx file with its card, or REGISTRY/NAME[@VERSION].",
    *,
    field: str | None = None,
) -> Callable[..., Any]:
    """Return the option for a model, whose default is a field of `package.module:Class`.

    The field is called `field`, or as the option.
    """
    return click.option(
        f"--{name.replace('_', '-')}",
        cls=FieldOption,
        field=f"{task}.{field or name}",
        shown=lambda model: model.reference,
        help=help,
    )


def reading_options(
    *, fps: str = "Video frames a second at most; not with --every."
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options that say what of the paths is read; `fps` is the help of `--fps`."""
    options = [
        click.option("--pattern", default="*", help="Which files of a folder, such as '*.jpg'."),
        click.option("--every", type=click.IntRange(1), default=1, help="Every n-th video frame."),
        click.option("--fps", type=click.FloatRange(0, 1000, min_open=True), help=fps),
    ]
    return add_options(options)


def run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how a pipeline is run."""
    options = [
        runner_option("Embedded Flink, or this process (default for little work)."),
        workers_option("one a core"),
        click.option(
            "--batch-size",
            cls=FieldOption,
            field=f"{_SETTINGS}.batch_size",
            type=click.IntRange(1),
            help="Images in one model call.",
        ),
        click.option("--device", help="cpu, cuda, cuda:N, tensorrt [a GPU that works, else cpu]."),
        click.option(
            "--max-megapixels",
            cls=FieldOption,
            field=f"{_SETTINGS}.max_pixels",
            shown=lambda n_pixels: n_pixels // 1_000_000,
            type=click.FloatRange(0, min_open=True),
            help="Reject larger images before decoding them.",
        ),
        click.option(
            "--reduced-decode",
            is_flag=True,
            help="Decode large JPEGs smaller where that is enough; scores change a little.",
        ),
        *state_options,
        *page_options,
        click.option(
            "--web-ui",
            type=click.IntRange(1, 65535),
            metavar="PORT",
            help="Show Flink's own page on this port of 127.0.0.1 while the job runs.",
        ),
        *metrics_options,
        overwrite_option,
        quiet_option,
    ]
    return add_options(options)(command)


def add_options(
    options: Sequence[Callable[..., Any]],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return what adds these options to a command, in this order."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            command = option(command)
        return command

    return add
