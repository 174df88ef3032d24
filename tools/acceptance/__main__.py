"""Command line: `python -m tools.acceptance`, or `make acceptance`."""

import importlib.util
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from tools.acceptance.figures import STATUSES
from tools.acceptance.page import read_reports, render, verdicts
from tools.acceptance.points import Plan, read_plan
from tools.acceptance.running import ROOT, call

RESULTS = ROOT / "benchmarks" / "results"
GROUPS = ("short", "all", "none")


def chosen(plan: Plan, wanted: Sequence[str]) -> list[str]:
    """Return the runs that were asked for, in the order of the plan.

    Raises:
        click.UsageError: a name is unknown.
    """
    known = [*GROUPS, *plan.shared.runs]
    if unknown := [name for name in wanted if name not in known]:
        raise click.UsageError(f"--run must be of {', '.join(known)}; got {', '.join(unknown)}")
    return [
        name
        for name, run in plan.shared.runs.items()
        if name in wanted or "all" in wanted or ("short" in wanted and run.short)
    ]


def check_needs(plan: Plan, names: Sequence[str], data: Path | None) -> None:
    """Refuse runs that cannot work here, before anything runs.

    Raises:
        click.UsageError: data or PyTorch is missing.
    """
    with_data = [name for name in names if plan.shared.runs[name].needs_data]
    if with_data and data is None:
        raise click.UsageError(f"{', '.join(with_data)} need `--data DATA`, a folder of data sets")
    with_torch = [name for name in names if plan.shared.runs[name].torch]
    if with_torch and importlib.util.find_spec("torch") is None:
        raise click.UsageError(f"{', '.join(with_torch)} need PyTorch; call `make setup-train`")


def run_all(plan: Plan, names: Sequence[str], data: Path | None) -> list[str]:
    """Call the runs in turn, whatever becomes of each; return those that failed."""
    failed = []
    for number, name in enumerate(names, 1):
        run, started = plan.shared.runs[name], time.monotonic()
        place = f"[{number}/{len(names)}] {name}"
        click.echo(f"{place}, {run.minutes:g} min or so: {run.command}")
        if not call(plan, name, data, RESULTS):
            failed.append(name)
        how = "FAILED" if name in failed else "done"
        click.echo(f"{place}: {how}, {time.monotonic() - started:.0f} s")
    return failed


@click.command()
@click.option("--run", "wanted", multiple=True, default=["short"], metavar="NAME", help="[short]")
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--page", default=ROOT / "docs" / "acceptance.md", type=click.Path(path_type=Path))
@click.argument("more", nargs=-1, metavar="[NAME]...")
def main(wanted: Sequence[str], more: Sequence[str], data: Path | None, page: Path) -> None:
    """Run points and write the page: `--run NAME NAME ...`, `short`, `all` or `none`.

    Figures of what does not run are those that were kept. Ends with 0 if all points hold.
    """
    plan = read_plan()
    names = chosen(plan, [*wanted, *more])
    check_needs(plan, names, data)
    failed = run_all(plan, names, data.resolve() if data else None)
    reports = read_reports(plan, RESULTS)
    page.write_text(render(plan, reports), "utf-8")
    counts = Counter(verdict.status for _, verdict in verdicts(plan, reports))
    click.echo(", ".join(f"{counts[status]} {status}" for status in STATUSES))
    click.echo(f"page: {page}")
    if failed:
        click.echo(f"failed: {', '.join(failed)}", err=True)
    if failed or counts["missed"] or counts["not run"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
