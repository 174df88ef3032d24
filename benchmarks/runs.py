"""One run of one system: its command, its time, what it wrote, and nothing of it left running."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_MARK = "BENCHMARK_RUN"
_LAST_LINES = 15


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    started: float
    """In seconds since 1970."""
    wall_s: float
    """From its start to its end, with everything."""
    failure: str | None
    """Why it failed, and the last lines that it wrote; None if it did not."""


def run_command(
    command: Sequence[str], environment: Mapping[str, str], log: Path, timeout_s: float
) -> Finished:
    """Run a command to its end; what it left running, or is too slow, is ended."""
    mark = uuid.uuid4().hex
    started = time.time()
    with open(log, "wb") as file:
        process = subprocess.Popen(
            command,
            env={**environment, _MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code: int | None = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            wall_s = time.time() - started
            end_processes(mark)
            process.wait()
    if code == 0:
        return Finished(started, wall_s, None)
    reason = f"not done after {timeout_s:.0f} s" if code is None else f"ended with {code}"
    return Finished(started, wall_s, "\n".join([reason, *_last_lines(log)]))


def summary_of(out: Path, finished: Finished) -> tuple[int, float, float]:
    """Return images, and first and last result in seconds from the start of a Sightflow command.

    Its summary counts from the start of the run, and is written when the run ends.
    """
    path = out.with_suffix(".summary.json")
    summary = json.loads(path.read_text())
    started_s = path.stat().st_mtime - finished.started - summary["seconds"]
    first_s, last_s = (started_s + summary[f"{which}_result_s"] for which in ("first", "last"))
    return summary["read"], first_s, last_s


def end_processes(mark: str) -> None:
    """End the processes whose environment has the mark of a run: no others."""
    for process in psutil.process_iter():
        try:
            if process.environ().get(_MARK) == mark:
                process.kill()
        except psutil.Error:
            continue


def _last_lines(log: Path) -> list[str]:
    lines = log.read_text("utf-8", "replace").splitlines()
    return [line[:300] for line in lines[-_LAST_LINES:]]


def own_environment() -> dict[str, str]:
    """Return the environment variables for the command `sightflow` of this environment."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path}
