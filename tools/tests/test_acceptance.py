"""The page of acceptance says what the kept reports say, and names nothing that is not there."""

import ast
import json
import re
import shlex
from pathlib import Path

import pytest
from click import UsageError
from click.testing import CliRunner

from tools.acceptance import __main__ as command_line
from tools.acceptance import running
from tools.acceptance.__main__ import check_needs, chosen
from tools.acceptance.figures import MissingFigureError, find, judge
from tools.acceptance.page import read_reports, render, verdicts
from tools.acceptance.points import POINTS, Goal, Plan, Point, Run, Shared, Subject, read_plan

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
NEVER_KEPT = {
    "accuracy-reduced.json",
    "clean-demo.json",
    "clean-test.json",
    "memory-stream.json",
}
"""Reports that need not be there yet."""


@pytest.fixture(scope="module")
def plan():
    return read_plan()


@pytest.fixture(scope="module")
def reports(plan):
    return read_reports(plan, RESULTS)


# --- the committed page and plan ---------------------------------------------------------------


def test_the_page_is_what_the_tool_writes_from_the_kept_reports(plan, reports):
    page = (ROOT / "docs" / "acceptance.md").read_text("utf-8")
    assert page == render(plan, reports), 'call `make acceptance ARGS="--run none"`'


def test_every_report_but_some_is_there(plan):
    writes = {run.writes for run in plan.shared.runs.values()}
    assert {name for name in writes if not (RESULTS / name).is_file()} <= NEVER_KEPT


def test_every_path_leads_to_a_figure(plan, reports):
    for point in plan.points():
        report = reports[point.run]
        if report is None or "skipped" in report or point.tests:
            continue
        for path in filter(None, (point.figure, point.over, point.minus, point.others)):
            assert None not in find(report, path).values(), (point.what, path)


def test_every_test_that_a_point_names_exists(plan):
    for test in plan.tests():
        file, *function = test.split("::")
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert set(function) <= names, test
    assert len(plan.tests()) >= 25


def test_every_command_is_a_target_of_the_makefile(plan):
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([\w%-]+):", makefile, re.MULTILINE)
    for run in plan.shared.runs.values():
        make, target, *more = shlex.split(run.command)
        assert make == "make"
        assert all(word.startswith("ARGS=") for word in more)
        if target.startswith("bench-"):
            script = ROOT / "benchmarks" / f"{target.removeprefix('bench-')}.py"
            assert "bench-%" in targets, run
            assert script.is_file(), run
        elif target.startswith("clean-"):
            assert "clean-%" in targets, run
            assert target.removeprefix("clean-") in targets, run
        else:
            assert target in targets, run


def test_every_run_and_every_reason_has_a_point(plan):
    assert {point.run for point in plan.points()} == set(plan.shared.runs)
    assert {point.reason for point in plan.points()} == {"", *plan.shared.reasons}
    assert {path.stem for path in POINTS.iterdir()} == {"plan", *plan.shared.subjects}


def test_points_have_names_of_their_own(plan):
    names = [point.what for point in plan.points()]
    assert len(names) == len(set(names)) >= 90


def test_a_missed_goal_has_the_reason_of_a_decision_record(plan, reports):
    missed = [point for point, verdict in verdicts(plan, reports) if verdict.status == "missed"]
    for point in missed:
        assert "](decisions/" in plan.shared.reasons.get(point.reason, ""), point.what


def test_only_what_is_short_and_needs_nothing_runs_by_itself(plan):
    for name in chosen(plan, ["short"]):
        assert not plan.shared.runs[name].needs_data
        assert not plan.shared.runs[name].torch


# --- paths -------------------------------------------------------------------------------------

REPORT = {
    "a": {"x": 1.0, "y": 2.0},
    "b": {"x": 3.0, "y": 4.0},
    "runs": [{"load": 25, "ms": 18.0}, {"load": 50, "ms": 20.0}],
    "still 0": [],
    "still 1": [7, 8],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a/x", {(): 1.0}),
        ("a/x|y", {("x",): 1.0, ("y",): 2.0}),
        ("a|b/y", {("a",): 2.0, ("b",): 4.0}),
        ("runs/1/ms", {(): 20.0}),
        ("runs/load=50/ms", {(): 20.0}),
        ("runs/*/ms", {("0",): 18.0, ("1",): 20.0}),
        ("still */0", None),
        ("a/z", None),
        ("a/x/deeper", None),
        ("runs/load=75/ms", None),
    ],
)
def test_a_path_leads_to_values_by_their_names(path, found):
    if found is None:
        with pytest.raises(MissingFigureError):
            find(REPORT, path)
    else:
        assert find(REPORT, path) == found


# --- goals and verdicts ------------------------------------------------------------------------


def verdict(goal, figure="a/x", report=REPORT, **fields):
    point = Point(what="it", goal=goal, run="r", figure=figure, **fields)
    return tuple(judge(point, report, {"x": "X", "b": "B"}))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("at least 1.0",), ("holds", "1")),
        (("at least 1.1",), ("missed", "1")),
        (("at most 0.9",), ("missed", "1")),
        (("is 1",), ("holds", "1")),
        (("at most 2", "a/x|y"), ("holds", "X 1, y 2")),
        (("at most 1", "a/x|y"), ("missed", "X 1, y 2")),
        (("measured", "b/x"), ("measured", "3")),
        (("at least 1", "a/z"), ("not run", "- (nothing at 'z')")),
    ],
)
def test_a_figure_is_held_against_its_goal(arguments, expected):
    assert verdict(*arguments) == expected


@pytest.mark.parametrize(
    ("goal", "status"),
    [
        ("above each of the others", "missed"),
        ("below each of the others", "holds"),
        ("at least each of the others", "missed"),
    ],
)
def test_a_figure_is_held_against_each_of_the_others(goal, status):
    assert verdict(goal, others="b/x", unit="s") == (status, "1 s; beside 3 s")
    assert verdict(goal, others="a|b/x")[1] == "1; a 1, B 3"


@pytest.mark.parametrize("goal", ["above each of the others", "below each of the others"])
def test_nothing_is_above_or_below_what_is_the_same(goal):
    assert verdict(goal, others="a/x")[0] == "missed"


def test_several_figures_are_each_held_against_those_of_their_name():
    own = {"hota": 2.0, "idf1": 5.0}
    report = {"own": own, "p": {"hota": 1.0, "idf1": 4.0}, "q": {"hota": 1.5, "idf1": 6.0}}
    fields = {"others": "p|q/hota|idf1", "report": report}
    shown = "hota 2, idf1 5; best of the others: q 1.5, q 6"
    assert verdict("above each of the others", "own/hota|idf1", **fields) == ("missed", shown)
    own["idf1"] = 6.5
    assert verdict("above each of the others", "own/hota|idf1", **fields)[0] == "holds"


def test_a_figure_is_compared_as_it_is_shown():
    assert verdict("at least 39.1", report={"a": {"x": 0.390997}}, times=100, digits=1) == (
        "holds",
        "39.1",
    )
    assert verdict("at least 1.00", report={"a": {"x": 0.994}}, digits=2) == ("missed", "0.99")


def test_figures_are_divided_subtracted_and_taken_together():
    assert verdict("is 3", "b/x", over="a/x") == ("holds", "3")
    assert verdict("is 2", "b/x", minus="a/x") == ("holds", "2")
    assert verdict("is 19", "runs/*/ms", take="median") == ("holds", "19")
    assert verdict("is 2", "still */*", take="count", report={"still 0": [[], [7, 8]]})[1] == "2"
    assert verdict("is 2", "still *", take="count") == ("holds", "2")


def test_without_a_report_a_point_was_not_run_and_a_skipped_one_says_why():
    assert verdict("at least 1", report=None) == ("not run", "-")
    assert verdict("at least 1", report={"skipped": "no GPU"}) == ("skipped", "no GPU")


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ({"t.py::a": (2, 0, 0), "t.py::b": (1, 0, 0)}, ("holds", "3 passed")),
        ({"t.py::a": (2, 0, 0), "t.py::b": (0, 1, 0)}, ("missed", "2 passed, 1 failed")),
        ({"t.py::a": (2, 0, 0), "t.py::b": (0, 0, 1)}, ("not run", "2 passed, 1 skipped")),
        ({"t.py::a": (2, 0, 0)}, ("not run", "- (t.py::b was not run)")),
    ],
)
def test_tests_must_all_have_passed(outcomes, expected):
    names = ("passed", "failed", "skipped")
    told = {test: dict(zip(names, n, strict=True)) for test, n in outcomes.items()}
    point = Point(what="it", goal="pass", run="r", tests=("t.py::a", "t.py::b"))
    assert tuple(judge(point, {"tests": told}, {})) == expected


@pytest.mark.parametrize("text", ["at least", "at least many", "good", "above 3", "is"])
def test_what_is_no_goal_is_refused(text):
    with pytest.raises(ValueError, match=re.escape(f"got {text!r}")):
        Goal.read(text)


# --- running -----------------------------------------------------------------------------------

RUNS = {
    "good": Run(command="make good", writes="good.json", minutes=1, kind="command", short=True),
    "bad": Run(command="make bad ARGS=DATA/x", writes="bad.json", minutes=1, kind="command"),
    "net": Run(command="make net", writes="net.json", minutes=1, torch=True),
}


@pytest.fixture
def small(tmp_path, monkeypatch):
    (tmp_path / "Makefile").write_text(
        'good:\n\t@echo "[$(ARGS)]" > good\nbad:\n\t@echo "[$(ARGS)]" > bad; false\n'
    )
    monkeypatch.setattr(running, "ROOT", tmp_path)
    points = (
        Point(what="good ends well", goal="is 0", run="good", figure="exit_status"),
        Point(what="bad ends well", goal="is 0", run="bad", figure="exit_status", reason="why"),
    )
    shared = Shared(
        words={}, runs=RUNS, reasons={"why": "It is bad."}, subjects=(), by_people=("Look.",)
    )
    return Plan(shared, (Subject("Some", points),))


def test_a_run_that_fails_is_kept_and_the_page_tells_it(small, tmp_path, monkeypatch):
    monkeypatch.setenv("ARGS", "--run good")  # of the make that called the tool
    monkeypatch.setenv("MAKEFLAGS", "-- ARGS=--run\\ good")
    assert running.call(small, "good", None, tmp_path)
    assert not running.call(small, "bad", Path("/data/of mine"), tmp_path)
    assert (tmp_path / "good").read_text() == "[]\n"
    assert (tmp_path / "bad").read_text() == "['/data/of mine'/x]\n"
    kept = json.loads((tmp_path / "bad.json").read_text())
    assert kept["exit_status"] == 2
    assert set(kept["machine"]) >= {"commit", "date", "python", "packages"}
    page = render(small, read_reports(small, tmp_path))
    assert "| good ends well | is 0 | 0 | holds | `make good` |" in page
    assert "| bad ends well | is 0 | 2 | **missed** |" in page
    assert "- **bad ends well**: 2, goal is 0. It is bad." in page


def command(small, tmp_path, monkeypatch, *words, fails=()):
    """Call the command on the small plan; return its result and the runs that it called."""
    called = []

    def call(plan, name, data, results):
        called.append((name, data))
        return name not in fails

    monkeypatch.setattr(command_line, "read_plan", lambda: small)
    monkeypatch.setattr(command_line, "call", call)
    monkeypatch.setattr(command_line, "RESULTS", tmp_path)
    page = ["--page", str(tmp_path / "page.md")]
    return CliRunner().invoke(command_line.main, [*words, *page]), called


def test_several_names_may_stand_behind_run(small, tmp_path, monkeypatch):
    words = ("--run", "bad", "good", "--data", str(tmp_path))
    result, called = command(small, tmp_path, monkeypatch, *words, fails=("good",))
    assert called == [("good", tmp_path), ("bad", tmp_path)]
    assert "[1/2] good: FAILED" in result.output
    assert "[2/2] bad: done" in result.output
    assert result.exit_code == 1


@pytest.mark.parametrize(("status", "code"), [(0, 0), (2, 1)])
def test_the_exit_status_says_whether_every_point_holds(small, tmp_path, monkeypatch, status, code):
    for name, exit_status in (("good", 0), ("bad", status)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"exit_status": exit_status}))
    result, called = command(small, tmp_path, monkeypatch)
    assert [name for name, _ in called] == ["good"]  # what is short runs by itself
    assert result.exit_code == code
    assert "# Acceptance" in (tmp_path / "page.md").read_text()


def test_runs_are_chosen_by_name_and_group(small):
    assert chosen(small, ["short"]) == ["good"]
    assert chosen(small, ["net", "good"]) == ["good", "net"]
    assert chosen(small, ["all"]) == ["good", "bad", "net"]
    assert chosen(small, ["none"]) == []
    with pytest.raises(UsageError, match="got better"):
        chosen(small, ["better"])


def test_what_is_missing_is_told_before_anything_runs(small, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="bad need `--data DATA`"):
        check_needs(small, ["good", "bad"], None)
    check_needs(small, ["good", "bad"], tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="net need PyTorch; call `make setup-train`"):
        check_needs(small, ["net"], tmp_path)


def test_outcomes_of_pytest_are_counted_by_function(tmp_path):
    (tmp_path / "junit.xml").write_text(
        "<testsuites><testsuite>"
        '<testcase classname="tests.unit.test_a" name="test_x[1]"/>'
        '<testcase classname="tests.unit.test_a" name="test_x[2]"><failure/></testcase>'
        '<testcase classname="tests.unit.test_a" name="test_y"><skipped/></testcase>'
        '<testcase classname="" name="tests.unit.test_b"><error/></testcase>'
        "</testsuite></testsuites>"
    )
    assert running.outcomes(tmp_path / "junit.xml") == {
        "tests/unit/test_a.py::test_x": {"passed": 1, "failed": 1, "skipped": 0},
        "tests/unit/test_a.py::test_y": {"passed": 0, "failed": 0, "skipped": 1},
        "tests/unit/test_b.py::(read)": {"passed": 0, "failed": 1, "skipped": 0},
    }


def test_a_plan_that_names_what_there_is_not_is_refused(tmp_path):
    for path in POINTS.iterdir():
        (tmp_path / path.name).write_text(path.read_text())
    text = (tmp_path / "engine.yaml").read_text()
    for old, new, words in (
        ("run: latency", "run: lateness", "`run` must be one of plan.yaml; got 'lateness'"),
        ("reason: model", "reason: moon", "`reason` must be one of plan.yaml; got 'moon'"),
        ("goal: at least 1.90", "goal: fast", "got 'fast'"),
        ("digits: 2", "digitz: 2", "unknown field `digitz`"),
    ):
        (tmp_path / "engine.yaml").write_text(text.replace(old, new))
        with pytest.raises(ValueError, match=re.escape(words)) as error:
            read_plan(tmp_path)
        assert "engine.yaml" in str(error.value)
