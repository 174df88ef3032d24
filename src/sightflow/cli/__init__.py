"""The command `sightflow`: arguments in, exit code out.

A command loads what it needs when it is called, so that Java can start before all the rest.
"""

import sys

import click

from sightflow.cli.cluster import cancel, jobs, restore, savepoint, submit
from sightflow.cli.control import control
from sightflow.cli.doctor import doctor
from sightflow.cli.drive import drive
from sightflow.cli.evaluate import evaluate
from sightflow.cli.faces import faces
from sightflow.cli.models import models
from sightflow.cli.recognise import classify, detect, preprocess, run_file
from sightflow.cli.replay import replay
from sightflow.cli.report import report
from sightflow.cli.sql import sql
from sightflow.cli.track import track
from sightflow.cli.train import train
from sightflow.engine.interrupts import take_sigterm
from sightflow.errors import JobError, LedgerError, SightflowError

__all__ = ["cli", "main"]

_FAILED, _WRONG_CALL, _STOPPED = 1, 2, 130


def main() -> None:
    """Run the command and leave with its exit code.

    0: all was read, rejected images included; 2: wrong call or configuration; 1: the job failed;
    130: stopped with Ctrl-C, or by SIGTERM, which is taken as Ctrl-C, before it could end.
    """
    take_sigterm()
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(_WRONG_CALL)
    except (KeyboardInterrupt, click.Abort):
        print("sightflow: stopped", file=sys.stderr)
        sys.exit(_STOPPED)
    except SightflowError as error:
        from sightflow.cli import console

        console.print_error(error)
        sys.exit(_FAILED if isinstance(error, JobError | LedgerError) else _WRONG_CALL)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="sightflow")
def cli() -> None:
    """Recognise what is in pictures and videos, on Apache Flink.

    A PATH is a file, a folder (with all folders in it), a glob in quotes, a video, an archive
    (.zip), or a URL such as s3://bucket/photos.
    """


for command in (
    classify,
    detect,
    track,
    drive,
    train,
    faces,
    preprocess,
    run_file,
    replay,
    control,
    sql,
    models,
    evaluate,
    report,
    submit,
    jobs,
    cancel,
    savepoint,
    restore,
    doctor,
):
    cli.add_command(command)
