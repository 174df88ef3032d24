"""The command that tells what works on this machine."""

import sys

import click

__all__ = ["doctor"]

_FAILED = 1


@click.command()
@click.option("--quick", is_flag=True, help="Do not run a job.")
def doctor(*, quick: bool) -> None:
    """Check Java, Flink, models, video, GPU: what works, and what to do where not."""
    from sightflow.cli import console
    from sightflow.doctor import examine

    findings = examine(run_job=not quick)
    mark = {True: "ok", False: "MISSING", None: "not there"}
    console.print_table(
        ("part", "state", "found", "what to do"),
        [(f.part, mark[f.works], f.found, f.advice) for f in findings],
    )
    if any(finding.works is False for finding in findings):
        sys.exit(_FAILED)
