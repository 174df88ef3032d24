"""The command that trains a network on labelled images."""

from pathlib import Path
from typing import Any

import click

from sightflow.cli.learning import (
    config_argument,
    filled,
    learning_options,
    print_learning,
    run_to_report,
)

__all__ = ["train"]


@click.command()
@config_argument
@learning_options(out="training")
def train(config: Path, **options: Any) -> None:
    """Train a network as CONFIG says: a pipeline in YAML with a step of the kind Train.

    Classes that CONFIG does not list are the labels of its source. report.html shows how it went.
    """
    pipeline, settings = filled(config, options)
    from sightflow.engine.plan import informed
    from sightflow.learn.train import Train

    if not any(isinstance(step.operator, Train) for step in pipeline.learning):
        raise click.UsageError(f"{config}: has no step of the kind Train")
    pipeline = informed(pipeline)
    for step in pipeline.learning if not options["quiet"] else ():
        if isinstance(step.operator, Train):
            click.echo(f"classes: {', '.join(step.operator.labels) or 'none'}", err=True)
    folder = options["out"] or Path(f"{config.stem}-training")
    learning, _ = run_to_report(pipeline, settings, config, options, folder=folder)
    if not options["quiet"]:
        print_learning(learning)
