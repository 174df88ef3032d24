"""The command that writes a page about what a run has found."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sightflow.cli.options import (
    overwrite_option,
    quiet_option,
)

if TYPE_CHECKING:
    from sightflow.storage.resultfiles import RunFiles

__all__ = ["report"]


@click.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The page [RESULTS.report.html, of a folder in it].",
)
@click.option(
    "--events",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Events, .jsonl, where they are not found beside.",
)
@click.option(
    "--labels",
    metavar="FILE|folders",
    help="What images show: .csv or .jsonl, or the names of their folders [as in the results].",
)
@click.option(
    "--pictures",
    type=click.IntRange(0, 24),
    default=6,
    show_default=True,
    help="Sample pictures of each of the most frequent classes; 0: none at all.",
)
@click.option("--title", help="Heading of the page [the name of the file or folder].")
@overwrite_option
@quiet_option
def report(
    results: Path,
    *,
    out: Path | None,
    events: Path | None,
    labels: str | None,
    pictures: int,
    title: str | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Write a page about what a run has found: counts, times, scores, pictures, what was rejected.

    RESULTS is a file of results (.jsonl, .parquet, .csv), the folder of a Dataset, or the folder
    or events.jsonl of `sightflow train` and `sightflow evaluate`. What lies beside is read too. The
    page is one file that needs no network.

    \b
    sightflow report results.jsonl
    sightflow report results.jsonl --labels folders --out report.html
    sightflow report scenes-training --out training.html
    """  # noqa: D301 - click wants a backspace before lines to leave as they are
    from sightflow.cli.streams import refuse
    from sightflow.storage.drafts import check_files
    from sightflow.storage.resultfiles import find_run

    is_page = out is None or out.suffix == ".html"
    refuse((not is_page, f"--out {out}: the ending must be .html"))
    files = find_run(str(results), None if events is None else str(events))
    page = out or _page_of(results)
    check_files([str(page)], overwrite=overwrite)
    _write(page, files, title or files.name, labels, n_samples=pictures, quiet=quiet)
    if not quiet:
        click.echo(f"wrote {page}", err=True)


def _page_of(results: Path) -> Path:
    """Return where the page is by default."""
    if results.is_dir():
        return results / f"{results.resolve().name}.report.html"
    return results.with_suffix(".report.html")


def _write(
    page: Path, files: "RunFiles", title: str, labels: str | None, *, n_samples: int, quiet: bool
) -> None:
    """Write the page that fits the files: of learning, or of results."""
    from sightflow.cli import console
    from sightflow.dashboard.learning import tells_of_learning
    from sightflow.dashboard.report.page import write_report
    from sightflow.dashboard.training import write_training_report

    if not files.results and files.events and tells_of_learning(Path(files.events[0])):
        if labels is not None:
            raise click.UsageError("--labels is for results; events of learning have their labels")
        write_training_report(page, title, Path(files.events[0]))
        return
    with (
        console.without_native_noise() as stderr,
        console.stages(stderr=stderr, quiet=quiet) as on_progress,
    ):
        write_report(
            page, files, title=title, labels=labels, n_samples=n_samples, on_progress=on_progress
        )
