"""The page: what, goal, figure, command, versions, and whether it holds."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.acceptance.figures import STATUSES, Verdict, judge
from tools.acceptance.points import Plan, Point

__all__ = ["Reports", "read_reports", "render", "verdicts"]

Reports = Mapping[str, Mapping[str, Any] | None]
"""What each run has written, by its name; None where it was never made."""

HEAD = """# Acceptance

Written by `make acceptance` from the reports in `benchmarks/results`; nothing here is written by
hand. What is to be shown stands in `tools/acceptance/points`, and
[how to measure](how-to/benchmarks.md#all-points-at-once) says how it is run.

Goals were set before anything was measured, and stay; `measured` stands where no number was asked
for. Figures are compared as they are shown. That memory stays flat was asked without a number: here
it means that the last quarter of a run has at most 1.03 times the mean of the second. Each figure
is of the commit and the day beside it, not of today's sources: a commit that ends with "dirty" had
changes beside it, and "not kept" means that a report does not tell.
"""

MEANINGS = {
    "holds": "the goal is reached",
    "measured": "there is a figure, and no number was asked for",
    "missed": "the goal is not reached",
    "skipped": "the machine cannot show it",
    "not run": "there is no figure yet",
}


def read_reports(plan: Plan, results: Path) -> Reports:
    """Read what the runs have written."""
    files = {name: results / run.writes for name, run in plan.shared.runs.items()}
    return {
        name: json.loads(file.read_text("utf-8")) if file.is_file() else None
        for name, file in files.items()
    }


def verdicts(plan: Plan, reports: Reports) -> list[tuple[Point, Verdict]]:
    """Judge all points."""
    return [(point, judge(point, reports[point.run], plan.shared.words)) for point in plan.points()]


def render(plan: Plan, reports: Reports) -> str:
    """Return the page; the same reports always give the same page."""
    judged = dict(verdicts(plan, reports))
    parts = [HEAD, _summary(judged), _missed(plan, judged)]
    for subject in plan.subjects:
        rows = [_row(plan, point, judged[point], reports[point.run]) for point in subject.points]
        head = ("what", "goal", "figure", "holds", "command", "measured")
        parts.append(f"## {subject.subject}\n\n{_table(head, rows)}")
    parts.append(_runs(plan, reports))
    people = "\n".join(f"- {line}" for line in plan.shared.by_people)
    about = "These need a person who looks, or a call by hand."
    parts.append(f"## Without a command\n\n{about}\n\n{people}\n")
    return "\n".join(parts)


def _summary(judged: Mapping[Point, Verdict]) -> str:
    counts = Counter(verdict.status for verdict in judged.values())
    rows = [(status, str(counts[status]), MEANINGS[status]) for status in STATUSES]
    return _table(("point", f"of {len(judged)} points", "meaning"), rows)


def _missed(plan: Plan, judged: Mapping[Point, Verdict]) -> str:
    lines = [
        f"- **{point.what}**: {verdict.figure}, goal {_goal(point)}. "
        f"{plan.shared.reasons.get(point.reason, 'No reason is recorded.')}"
        for point, verdict in judged.items()
        if verdict.status == "missed"
    ]
    return "\n".join(["## Missed, and why", "", *(lines or ["None."]), ""])


def _row(
    plan: Plan, point: Point, verdict: Verdict, report: Mapping[str, Any] | None
) -> tuple[str, ...]:
    mark = f"**{verdict.status}**" if verdict.status in ("missed", "not run") else verdict.status
    command = f"`{plan.shared.runs[point.run].command}`"
    return point.what, _goal(point), verdict.figure, mark, command, _when(report)


def _goal(point: Point) -> str:
    has_unit = point.unit and point.goal.split()[-1][-1].isdigit()
    return f"{point.goal} {point.unit}" if has_unit else point.goal


def _when(report: Mapping[str, Any] | None) -> str:
    if report is None:
        return "-"
    machine = report.get("machine", {})
    return f"{machine['commit']}, {machine['date']}" if machine else "not kept"


def _runs(plan: Plan, reports: Reports) -> str:
    rows = []
    for name, run in plan.shared.runs.items():
        needs = [*(["data"] if run.needs_data else []), *(["PyTorch"] if run.torch else [])]
        facts = _versions(reports[name])
        minutes = f"{run.minutes:g}"
        rows.append((name, f"`{run.command}`", minutes, ", ".join(needs), *facts))
    head = ("run", "command", "minutes", "needs", "measured")
    more = ("Python", "Flink", "ONNX Runtime", "PyTorch", "machine")
    about = "`--run NAME` takes the names of the first column. Minutes are about, on two cores."
    return f"## Runs and versions\n\n{about}\n\n{_table((*head, *more), rows)}"


def _versions(report: Mapping[str, Any] | None) -> tuple[str, ...]:
    machine = (report or {}).get("machine")
    if not machine:
        return (_when(report), *("-",) * 5)
    packages = machine["packages"]
    names = ("apache-flink", "onnxruntime", "torch")
    where = f"{machine['cores']} x {machine['cpu']}, {machine['memory_gib']:g} GiB"
    found = (packages.get(name, "not kept") for name in names)
    return (_when(report), machine["python"], *found, where)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell or '-' for cell in line)} |\n" for line in lines)
