"""Calls the runs, one after the other; one that fails does not end the others."""

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bench import machine, write_report

from tools.acceptance.points import Plan, Run

__all__ = ["call", "outcomes"]

ROOT = Path(__file__).resolve().parents[2]
OF_MAKE = ("ARGS", "MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "MFLAGS")
"""What the make that called this hands on: another one must not take its arguments."""


def call(plan: Plan, name: str, data: Path | None, results: Path) -> bool:
    """Call one run; what it prints goes to the terminal. Return whether it ended well."""
    run = plan.shared.runs[name]
    kinds: Mapping[str, Callable[[], bool]] = {
        "benchmark": lambda: _command(run, data) == 0,
        "command": lambda: _keep_status(run, data, results / run.writes),
        "tests": lambda: _keep_tests(plan.tests(), results / run.writes),
    }
    return kinds[run.kind]()


def _command(run: Run, data: Path | None) -> int:
    place = shlex.quote(str(data)) if data else ""
    words = [re.sub(r"\bDATA\b", lambda _: place, word) for word in shlex.split(run.command)]
    environment = {name: value for name, value in os.environ.items() if name not in OF_MAKE}
    return subprocess.run(words, cwd=ROOT, env=environment, check=False).returncode


def _keep_status(run: Run, data: Path | None, out: Path) -> bool:
    facts, started = machine(), time.monotonic()
    status = _command(run, data)
    seconds = round(time.monotonic() - started, 1)
    write_report(out, {"machine": facts, "exit_status": status, "seconds": seconds})
    return status == 0


def _keep_tests(tests: Sequence[str], out: Path) -> bool:
    """Run the tests in one call of pytest and keep what each gave."""
    facts, started = machine(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder, "tests.xml")
        words = ["-m", "pytest", "--continue-on-collection-errors", f"--junitxml={found}", *tests]
        subprocess.run([sys.executable, *words], cwd=ROOT, check=False)
        told = outcomes(found) if found.is_file() else {}
    report = {"machine": facts, "seconds": round(time.monotonic() - started, 1), "tests": told}
    write_report(out, report)
    return bool(told) and not any(outcome["failed"] for outcome in told.values())


def outcomes(junit: Path) -> dict[str, dict[str, int]]:
    """Return how often each test function passed, failed and was skipped, from pytest's report."""
    told: dict[str, dict[str, int]] = {}
    for case in ET.parse(junit).getroot().iter("testcase"):
        tags = {part.tag for part in case}
        outcome = "failed" if tags & {"failure", "error"} else "passed"
        outcome = "skipped" if "skipped" in tags else outcome
        test = told.setdefault(_test_name(case.attrib), dict.fromkeys(_OUTCOMES, 0))
        test[outcome] += 1
    return dict(sorted(told.items()))


_OUTCOMES = ("passed", "failed", "skipped")


def _test_name(case: Mapping[str, Any]) -> str:
    """Return `FILE::FUNCTION`; a file that could not be read has its error as `FILE`."""
    function = case["name"].split("[")[0]
    if not case["classname"]:
        return f"{function.replace('.', '/')}.py::(read)"
    return f"{case['classname'].replace('.', '/')}.py::{function}"
