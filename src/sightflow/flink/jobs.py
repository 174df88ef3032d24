"""The jobs of a cluster, as its REST tells of them: listed, cancelled, saved."""

import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from sightflow.errors import JobError
from sightflow.flink.failures import describe_failure
from sightflow.flink.rest import Rest
from sightflow.records.ledger import Ledger

__all__ = ["COLUMNS", "cancel", "failure_of", "find_job", "list_jobs", "save"]

COLUMNS = (
    "id",
    "name",
    "state",
    "since",
    *asdict(Ledger()),
    "checkpoints",
    "failed_checkpoints",
    "last_checkpoint",
)
_OVER = ("FINISHED", "CANCELED", "FAILED")
_MIN_ID = 6
"""So much of an id names a job: less of one may be a word that is mistyped."""
_POLL_S = 0.1
_TIMEOUT_S = 600.0


def list_jobs(rest: Rest) -> list[dict[str, Any]]:
    """Return a row for each job that the cluster knows, the newest first.

    What is not known is None: the ledger of a job that is not one of ours, or of one that has
    just started; where the last checkpoint is, before there is one.
    """
    jobs = sorted(rest.get("/jobs/overview")["jobs"], key=lambda job: -job["start-time"])
    return [_row(rest, job) for job in jobs]


def find_job(rest: Rest, words: str) -> str:
    """Return the id of a job by its name, by its id, or by at least 6 characters it begins with.

    Raises:
        JobError: there is no such job, or there are several.
    """
    jobs = rest.get("/jobs/overview")["jobs"]
    named = [job for job in jobs if words and job["name"] == words and job["state"] not in _OVER]
    is_id = len(words) >= _MIN_ID
    found = named or [job for job in jobs if is_id and job["jid"].startswith(words.lower())]
    if len(found) != 1:
        known = ", ".join(f"{j['jid']} ({j['name']}, {j['state'].lower()})" for j in found or jobs)
        raise JobError(
            f"job {words!r}: {'several are' if found else 'none is'} called so in {rest.url}; "
            f"there are {known or 'no jobs'}"
        )
    return str(found[0]["jid"])


def cancel(rest: Rest, job_id: str) -> None:
    """Cancel a job and wait until it has ended; its checkpoints stay.

    Raises:
        JobError: it has ended already.
    """
    rest.patch(f"/jobs/{job_id}?mode=cancel")
    _await(f"job {job_id} to end", lambda: _state(rest, job_id) in _OVER)


def save(rest: Rest, job_id: str, *, folder: str | None, stop: bool) -> str:
    """Write a savepoint of a job; return where it is, as `submit` takes it.

    Args:
        rest: of the cluster.
        job_id: of the job.
        folder: URL of the folder for it; None takes that of the job or the cluster.
        stop: whether the job ends with it, so that nothing is done twice after a restore.

    Raises:
        JobError: the savepoint failed.
    """
    path = f"/jobs/{job_id}/savepoints"
    if stop:
        request = {"targetDirectory": folder, "drain": False}
        number = rest.post(f"/jobs/{job_id}/stop", request)["request-id"]
    else:
        request = {"target-directory": folder, "cancel-job": False}
        number = rest.post(path, request)["request-id"]
    done = list[dict[str, Any]]()

    def is_done() -> bool:
        answer = rest.get(f"{path}/{number}")
        if answer["status"]["id"] == "COMPLETED":
            done.append(answer["operation"])
        return bool(done)

    _await("the savepoint", is_done)
    if "location" not in done[0]:
        why = describe_failure(done[0]["failure-cause"]["stack-trace"])
        raise JobError(f"no savepoint of job {job_id}: {why}")
    if stop:
        _await(f"job {job_id} to end", lambda: _state(rest, job_id) in _OVER)
    return str(done[0]["location"])


def failure_of(rest: Rest, job_id: str) -> str | None:
    """Return why a job failed last, or None where it has not."""
    history = rest.get(f"/jobs/{job_id}/exceptions")["exceptionHistory"]["entries"]
    return describe_failure(history[0]["stacktrace"]) if history else None


def _row(rest: Rest, job: dict[str, Any]) -> dict[str, Any]:
    job_id = job["jid"]
    changed = job["last-modification"] if job["state"] in _OVER else job["start-time"]
    since = datetime.fromtimestamp(changed / 1000, timezone.utc)
    found = _told(rest, f"/jobs/{job_id}/accumulators").get("user-task-accumulators", ())
    sums = {one["name"].removeprefix("sightflow."): int(one["value"]) for one in found}
    checkpoints = _told(rest, f"/jobs/{job_id}/checkpoints")
    counts = checkpoints.get("counts", {})
    last = (checkpoints.get("latest") or {}).get("completed") or {}
    return {
        "id": job_id,
        "name": job["name"],
        "state": job["state"],
        "since": since.isoformat(timespec="seconds"),
        **{name: sums.get(name) for name in asdict(Ledger())},
        "checkpoints": counts.get("completed"),
        "failed_checkpoints": counts.get("failed"),
        "last_checkpoint": last.get("external_path"),
    }


def _told(rest: Rest, path: str) -> dict[str, Any]:
    """Return what is told of a job: nothing while a JobManager is about to start or recover it."""
    try:
        return dict(rest.get(path))
    except JobError:
        return {}


def _state(rest: Rest, job_id: str) -> str:
    return str(rest.get(f"/jobs/{job_id}")["state"])


def _await(what: str, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while not is_so():
        if time.monotonic() > deadline:
            raise JobError(f"waited {_TIMEOUT_S:.0f} s for {what}; look at the page of the cluster")
        time.sleep(_POLL_S)
