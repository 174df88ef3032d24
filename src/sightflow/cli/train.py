"""The command that trains a network on labelled images."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from sightflow.cli.running import execute

__all__ = ["train"]


@click.command()
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--data", metavar="DIR", help="What ${data} in CONFIG stands for.")
@click.option("--registry", metavar="DIR", help="What ${registry} in CONFIG stands for.")
@click.option(
    "--set",
    "more",
    multiple=True,
    metavar="NAME=VALUE",
    help="What ${NAME} in CONFIG stands for; may be given again.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for what is told of the training [CONFIG-training].",
)
@click.option("--runner", type=click.Choice(["flink", "inline"]), help="[as in CONFIG]")
@click.option("--workers", type=click.IntRange(1), help="Parallel workers [as in CONFIG].")
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False),
    help="Keep checkpoints here; a call that died goes on from them when it is repeated.",
)
@click.option("--overwrite", is_flag=True, help="Replace the output of an earlier run.")
@click.option("--quiet", is_flag=True, help="No progress, no summary.")
def train(config: Path, **options: Any) -> None:
    """Train a network as CONFIG says: a pipeline in YAML with a step of the kind Train.

    Classes that CONFIG does not list are the labels of its source.
    """
    from sightflow.configuration import read_pipeline
    from sightflow.sinks import JsonEvents

    pipeline, settings = read_pipeline(config, _values(options))
    if not pipeline.learning:
        raise click.UsageError(f"{config}: has no step that learns, such as Train")
    out = options["out"] or Path(f"{config.stem}-training")
    out.mkdir(parents=True, exist_ok=True)
    events = JsonEvents(str(out / "events.jsonl"), overwrite=options["overwrite"])
    chosen = {name: options[name] for name in ("runner", "workers", "state_dir")}
    settings = replace(settings, **{k: v for k, v in chosen.items() if v is not None})
    execute(pipeline.write("training", events), settings, quiet=options["quiet"])


def _values(options: dict[str, Any]) -> dict[str, str]:
    """Return what the blanks of the file stand for."""
    values = {name: options[name] for name in ("data", "registry") if options[name]}
    for pair in options["more"]:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise click.UsageError(f"--set {pair!r} must be NAME=VALUE")
        values[name] = value
    return values
