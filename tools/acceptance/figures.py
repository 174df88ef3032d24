"""From a kept report to a figure, and from a figure to whether a goal is reached."""

import fnmatch
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tools.acceptance.points import Goal, Point

__all__ = ["STATUSES", "MissingFigureError", "Verdict", "find", "judge"]

STATUSES = ("holds", "measured", "missed", "skipped", "not run")
"""What can be said of a point; `measured` where no number was asked for."""

Values = Mapping[tuple[str, ...], Any]
"""Values by the names that were chosen on the way to them."""


class Verdict(NamedTuple):
    """What is said of a point."""

    status: str
    figure: str
    """For people."""


class MissingFigureError(LookupError):
    """There is nothing at a path."""


def find(report: Any, path: str) -> Values:
    """Return what lies at a path of a report.

    Segments are parted by `/`: a key, or the place in a list. `a|b` chooses several, `*` in a key
    stands for anything, `key=value` chooses the items of a list that have it.

    >>> find({"runs": [{"n": 1, "s": 2.5}, {"n": 2, "s": 3.0}]}, "runs/n=2/s")
    {(): 3.0}
    >>> find({"a": {"hota": 1}, "b": {"hota": 2}}, "a|b/hota")
    {('a',): 1, ('b',): 2}

    Raises:
        MissingFigureError: there is nothing.
    """
    found: dict[tuple[str, ...], Any] = {(): report}
    for segment in path.split("/"):
        found = {
            (*names, *chosen): value
            for names, here in found.items()
            for chosen, value in _choose(here, segment)
        }
        if not found:
            raise MissingFigureError(f"nothing at {segment!r} of {path!r}")
    return found


def _choose(here: Any, segment: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    items = dict(enumerate(here)) if isinstance(here, list) else here
    if not isinstance(items, dict):
        return
    named = {str(key): value for key, value in items.items()}
    if "=" in segment:
        key, wanted = segment.split("=", 1)
        yield from (((), v) for v in named.values() if str(v.get(key)) == wanted)
    elif "*" in segment:
        yield from (((name,), v) for name, v in named.items() if fnmatch.fnmatch(name, segment))
    else:
        names = segment.split("|")
        for name in names:
            if name not in named:
                raise MissingFigureError(f"nothing at {name!r}")
            yield ((name,) if len(names) > 1 else ()), named[name]


def judge(point: Point, report: Mapping[str, Any] | None, words: Mapping[str, str]) -> Verdict:
    """Say of a point whether it holds, from the report of its run.

    Args:
        point: the point.
        report: None where the run was never made.
        words: how names in the report are shown.
    """
    if report is None:
        return Verdict("not run", "-")
    if "skipped" in report:
        return Verdict("skipped", str(report["skipped"]))
    if point.tests:
        return _judge_tests(point.tests, report["tests"])
    try:
        figure = _figure(point, report)
        others = _scaled(point, _taken(point, report, point.others)) if point.others else {}
    except MissingFigureError as error:
        return Verdict("not run", f"- ({error})")
    if any(value is None for value in figure.values()):
        return Verdict("not run", "-")
    goal, shown = Goal.read(point.goal), _shown(point, figure, others, words)
    if goal.kind == "measured":
        return Verdict("measured", shown)
    holds = all(_holds(goal, value, _peers(names, others)) for names, value in figure.items())
    return Verdict("holds" if holds else "missed", shown)


def _figure(point: Point, report: Mapping[str, Any]) -> Values:
    values = _taken(point, report, point.figure)
    if point.over:
        values = _combined(values, _taken(point, report, point.over), lambda a, b: a / b)
    if point.minus:
        values = _combined(values, _taken(point, report, point.minus), lambda a, b: a - b)
    return _scaled(point, values)


def _combined(values: Values, others: Values, how: Callable[[Any, Any], Any]) -> Values:
    return {names: how(value, others[names]) for names, value in values.items()}


def _taken(point: Point, report: Mapping[str, Any], path: str) -> Values:
    values = find(report, path)
    if not point.take:
        return values
    if point.take == "count":
        return {(): sum(len(value) for value in values.values())}
    return {(): _TAKEN[point.take](values.values())}


_TAKEN: Mapping[str, Callable[[Iterable[Any]], Any]] = {
    "median": statistics.median,
    "most": max,
    "least": min,
}


def _scaled(point: Point, values: Values) -> Values:
    """Return the values as they are shown and compared."""
    if point.times == 1 and point.digits is None:
        return values
    return {names: round(value * point.times, point.digits) for names, value in values.items()}


def _peers(names: tuple[str, ...], others: Values) -> Values:
    """Return those of the others that belong to the value of these names."""
    n_names = len(names)
    return {o: value for o, value in others.items() if o[len(o) - n_names :] == names}


def _holds(goal: Goal, value: Any, peers: Values) -> bool:
    others = peers.values()
    match goal.kind:
        case "at least":
            return bool(value >= goal.number)
        case "at most":
            return bool(value <= goal.number)
        case "is":
            return bool(value == goal.number)
        case "above each":
            return bool(peers) and all(value > other for other in others)
        case "below each":
            return bool(peers) and all(value < other for other in others)
    return bool(peers) and all(value >= other for other in others)


def _shown(point: Point, figure: Values, others: Values, words: Mapping[str, str]) -> str:
    """Return figure and others for people: of many others only the best."""
    own = ", ".join(_named(point, names, value, words) for names, value in figure.items())
    if not others:
        return own
    if len(figure) == 1 and len(others) == 1:
        return f"{own}; beside {_number(point, *others.values())}"
    if len(figure) == 1:
        listed = (_named(point, names, value, words) for names, value in others.items())
        return f"{own}; {', '.join(listed)}"
    best = []
    for names in figure:
        peers = _peers(names, others)
        who = max(peers, key=lambda each: peers[each])
        best.append(_named(point, who[: len(who) - len(names)], peers[who], words))
    return f"{own}; best of the others: {', '.join(best)}"


def _named(point: Point, names: tuple[str, ...], value: Any, words: Mapping[str, str]) -> str:
    return " ".join([*(words.get(name, name) for name in names), _number(point, value)])


def _number(point: Point, value: Any) -> str:
    unit = f" {point.unit}" if point.unit else ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if point.digits is None:
        return f"{value:,}{unit}" if isinstance(value, int) else f"{value:.3g}{unit}"
    return f"{value:,.{point.digits}f}{unit}"


def _judge_tests(tests: tuple[str, ...], outcomes: Mapping[str, Mapping[str, int]]) -> Verdict:
    """Say of tests whether all of them passed; a test may be a whole file."""
    total = dict.fromkeys(("passed", "failed", "skipped"), 0)
    for test in tests:
        mine = [o for name, o in outcomes.items() if name == test or name.startswith(f"{test}::")]
        if not mine:
            return Verdict("not run", f"- ({test} was not run)")
        for outcome in total:
            total[outcome] += sum(o[outcome] for o in mine)
    told = ", ".join(f"{n:,} {outcome}" for outcome, n in total.items() if n)
    status = "missed" if total["failed"] else "not run" if total["skipped"] else "holds"
    return Verdict(status, told)
