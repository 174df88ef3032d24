"""Mutation testing: change the code in small ways, and see whether a unit test notices.

    make mutation
    make mutation ARGS="ops --show"

Each room is copied to .cache/mutation/ROOM, with its tests. There mutmut makes the mutants and runs
each one, in a process forked from a warm one, against those tests of the room that reach the
changed function. The scores go into benchmarks/results/mutation.json.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "mutation"
REPORT = ROOT / "benchmarks" / "results" / "mutation.json"
LISTED = ROOT / "tools" / "mutation.yaml"
START = "from mutmut.__main__ import cli; cli()"
QUICK_FIRST = '''"""The first test that fails ends a mutant, so quick ones come first."""

import json
from pathlib import Path


def pytest_collection_modifyitems(items):
    known = Path("mutmut-stats.json")
    seconds = json.loads(known.read_text())["duration_by_test"] if known.exists() else {}
    items.sort(key=lambda item: seconds.get(item.nodeid, 0.0))
'''


@dataclass(frozen=True)
class Room:
    """What is changed, and what must notice."""

    code: tuple[str, ...]
    """Patterns of files below src/sightflow."""
    tests: tuple[str, ...]
    """Files and folders below tests/unit."""


_TRAINER = (
    *("training", "head", "optimiser", "samples"),
    *("contest", "averaging", "snapshot", "recollection"),
)
ROOMS = {
    "records": Room(("records/*.py",), ("records",)),
    "metrics": Room(("metrics/*.py",), ("metrics",)),
    "ops": Room(("ops/*.py",), ("ops",)),
    "tracker": Room(
        ("tasks/tracker.py", "tasks/tracker_state.py", "tasks/track.py"),
        ("tasks/test_track.py", "tasks/test_tracker.py"),
    ),
    "trainer": Room(
        tuple(f"learn/{name}.py" for name in _TRAINER),
        tuple(
            f"learn/test_{name}.py"
            for name in (
                *("train", "averaging", "head", "optimiser"),
                *("samples", "publish", "contest"),
            )
        ),
    ),
}


@dataclass(frozen=True)
class Mutant:
    """One change, and what became of it."""

    name: str
    """What mutmut calls it."""
    function: str
    """Module and name."""
    was: str
    becomes: str
    """Lines that differ, without indentation."""
    outcome: str
    """`killed`, `timeout`, `survived`; `not tried`."""

    @property
    def change(self) -> str:
        """What tools/mutation.yaml has of it."""
        return f"{self.was} => {self.becomes}"


_OUTCOMES = {
    None: "not tried",
    0: "survived",
    33: "survived",  # no test reaches it
    1: "killed",
    2: "killed",  # a test file cannot be imported
    255: "killed",  # the same; pytest finds none of its tests
    3: "killed",  # inside pytest
    -11: "killed",
    24: "timeout",
    -24: "timeout",
    152: "timeout",
}
"""By the exit code of its tests."""


def main() -> None:
    """Run the rooms that are named, or all."""
    parser = argparse.ArgumentParser(prog="make mutation", description="Score the unit tests.")
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"of {', '.join(ROOMS)}; or all")
    parser.add_argument("--sample", type=int, default=0, help="so many mutants of a room, not all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--workers", type=int, default=1, help="processes that run mutants")
    parser.add_argument("--again", action="store_true", help="run only those that lived last time")
    parser.add_argument("--show", action="store_true", help="print the survivors")
    how = parser.parse_args()
    unknown = set(how.rooms) - set(ROOMS)
    if unknown:
        parser.error(f"ROOM must be one of {', '.join(ROOMS)}; got {', '.join(sorted(unknown))}")
    for name in how.rooms or ROOMS:
        started = time.monotonic()
        folder = CACHE / name
        run(name, folder, how)
        summary = score(name, list(mutants(folder)), how)
        if not how.again:
            summary["minutes"] = round((time.monotonic() - started) / 60, 1)
        report(name, summary)


def run(name: str, folder: Path, how: argparse.Namespace) -> None:
    """Make the mutants of a room in a folder and run them."""
    if not how.again:
        shutil.rmtree(folder, ignore_errors=True)
    lay_out(ROOMS[name], folder)
    names: Sequence[str] = ()
    if how.again:
        (folder / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
        lived = (mutant for mutant in mutants(folder) if mutant.outcome == "survived")
        names = [mutant.name for mutant in lived if why_equivalent(mutant, name) is None]
        if not names:
            return
    elif how.sample:
        everyone = names_of_mutants(ROOMS[name], folder)
        names = random.Random(how.seed).sample(everyone, min(how.sample, len(everyone)))
    command = [sys.executable, "-c", START, "run", "--max-children", str(how.workers), *names]
    env = os.environ | {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    subprocess.run(command, cwd=folder, env=env, check=True)


def lay_out(room: Room, folder: Path) -> None:
    """Copy code and tests into the folder, with the settings of mutmut."""
    ignore = shutil.ignore_patterns("__pycache__")
    for part in ("src", "tests"):
        shutil.rmtree(folder / part, ignore_errors=True)
        shutil.rmtree(folder / "mutants" / part / "unit", ignore_errors=True)
        shutil.copytree(ROOT / part, folder / part, ignore=ignore)
    shutil.copy2(ROOT / "pyproject.toml", folder)
    (folder / "conftest.py").write_text(QUICK_FIRST)
    settings = {
        "source_paths": ["src"],
        "also_copy": ["conftest.py"],
        "only_mutate": [f"src/sightflow/{pattern}" for pattern in room.code],
        "pytest_add_cli_args_test_selection": [f"tests/unit/{path}" for path in room.tests],
        # no doctests: mutmut would repeat them for every mutant of their function
        "pytest_add_cli_args": ["-o", "addopts=--import-mode=importlib --strict-markers"],
        "process_isolation": ["forkserver"],
        "timeout_multiplier": ["5"],
        "timeout_constant": ["2"],
    }
    lines = ["[mutmut]"]
    for key, values in settings.items():
        single = len(values) == 1
        lines += [f"{key} = {values[0]}"] if single else [f"{key} =", *(f"    {v}" for v in values)]
    (folder / "setup.cfg").write_text("\n".join(lines) + "\n")


def names_of_mutants(room: Room, folder: Path) -> list[str]:
    """Return what mutmut will call the mutants of a room."""
    from mutmut.mutation.file_mutation import mutate_file_contents
    from mutmut.utils.file_utils import change_cwd
    from mutmut.utils.format_utils import get_mutant_name

    found = []
    with change_cwd(folder):
        for path in sorted(Path("src/sightflow").rglob("*.py")):
            if any(fnmatch(str(path), f"src/sightflow/{pattern}") for pattern in room.code):
                mutated = mutate_file_contents(str(path), path.read_text())
                found += [get_mutant_name(path, name) for name in mutated.mutant_names]
    return found


def exit_codes(folder: Path) -> Iterator[tuple[str, int | None]]:
    """Yield each mutant of the last run, by name, with how its tests ended."""
    for path in sorted((folder / "mutants" / "src").rglob("*.meta")):
        yield from json.loads(path.read_text())["exit_code_by_key"].items()


def mutants(folder: Path) -> Iterator[Mutant]:
    """Yield what the last run tried."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant
    from mutmut.utils.file_utils import change_cwd

    with change_cwd(folder):
        for key, code in exit_codes(folder):
            module, _, name = key.partition("__mutmut_")[0].rpartition(".")
            function = f"{module}.{re.sub('^x_', '', name).replace('ǁ', '.').removeprefix('x.')}"
            path = Path("src", *module.split("."))
            path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            lines = get_diff_for_mutant(key, path=path).splitlines()[3:]
            was, becomes = (
                " / ".join(line[1:].strip() for line in lines if line[0] == sign) for sign in "-+"
            )
            yield Mutant(key, function, was, becomes, _OUTCOMES[code])


def score(name: str, found: list[Mutant], how: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of a room, and print them."""
    tried = [mutant for mutant in found if mutant.outcome != "not tried"]
    reasons: Counter[str] = Counter()
    survivors = []
    for mutant in tried:
        if mutant.outcome == "survived":
            reason = why_equivalent(mutant, name)
            if reason is None:
                survivors.append(mutant)
            else:
                reasons[reason] += 1
    counts = Counter(mutant.outcome for mutant in tried)
    noticed = counts["killed"] + counts["timeout"]
    equivalent = sum(reasons.values())
    figures = {
        "mutants": len(tried),
        "of": len(found),
        "killed": counts["killed"],
        "timeout": counts["timeout"],
        "survived": len(survivors),
        "equivalent": equivalent,
        "score": round(noticed / (len(tried) - equivalent), 3),
        "score_of_all": round(noticed / len(tried), 3),
    }
    if len(tried) < len(found):
        figures["seed"] = how.seed
    for mutant in survivors if how.show else ():
        print(f"{mutant.function}\n  - {mutant.was}\n  + {mutant.becomes}")
    for entry in listed()[name]:
        if not any(is_of(mutant, entry) for mutant in found):
            print(f"{LISTED.name}: {name} has no such mutant any more: {entry['change']}")
    print(name, json.dumps(figures))
    return figures | {"reasons": dict(reasons.most_common())}


@functools.cache
def listed() -> dict[str, list[dict[str, str]]]:
    """Return what tools/mutation.yaml has."""
    read: dict[str, list[dict[str, str]]] = yaml.safe_load(LISTED.read_text("utf-8"))
    return read


def why_equivalent(mutant: Mutant, room: str) -> str | None:
    """Return why no test can tell a mutant from the code; None where one should."""
    entries = (*listed()["everywhere"], *listed()[room])
    return next((entry["reason"] for entry in entries if is_of(mutant, entry)), None)


def is_of(mutant: Mutant, entry: dict[str, str]) -> bool:
    """Return whether a mutant is one that an entry of tools/mutation.yaml is about."""
    is_there = re.fullmatch(entry.get("function", ".*"), mutant.function.removeprefix("sightflow."))
    return bool(is_there and re.fullmatch(entry["change"], mutant.change))


def report(name: str, figures: dict[str, Any]) -> None:
    """Write the figures of a room beside those of the others."""
    known = json.loads(REPORT.read_text())["rooms"] if REPORT.exists() else {}
    minutes = known.get(name, {}).get("minutes")
    today = datetime.now(timezone.utc).date().isoformat()
    known[name] = {"date": today, "minutes": minutes, **figures}
    told = {
        "tool": "mutmut",
        "version": version("mutmut"),
        "tests": "tests/unit of the room; see ROOMS in tools/mutation.py",
        "rooms": {room: known[room] for room in ROOMS if room in known},
    }
    REPORT.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
