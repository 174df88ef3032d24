"""Jobs of a cluster that go on from the state of another: what that one was is noted in the job.

A folder of a run is not there, so the note travels in Flink's own configuration of the job, and its
REST tells it as long as the cluster knows the job.
"""

import base64
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sightflow.engine.upgrade import Description, History, differences
from sightflow.errors import PipelineError
from sightflow.flink.rest import Rest
from sightflow.records.state import StateCodec

__all__ = ["Note", "note_behind"]

_PARAMETER = "sightflow"
_JOB = re.compile(
    r"/(?:([0-9a-f]{32})/chk-\d+|savepoint-([0-9a-f]{6})-[0-9a-f]+)(?:/|/_metadata)?$"
)
"""How Flink names checkpoints and savepoints: by the id of their job, or how it begins. It takes
the folder of one, and the file `_metadata` in it."""


@dataclass(frozen=True)
class Note:
    """What is noted of a job."""

    pipeline: Description
    history: History
    listing: str | None
    """What tells the listed work from others; None for a stream."""

    def as_parameter(self) -> str:
        """Return the note as `pipeline.global-job-parameters`."""
        return f"{_PARAMETER}:{base64.urlsafe_b64encode(_NOTES.encode(self)).decode()}"

    def going_on(self, now: "Note", *, upgrade: bool, drop_state: Collection[str]) -> History:
        """Return the history of a job that goes on with another pipeline, or the same.

        Raises:
            PipelineError: it has changed and that is not allowed, or the state does not fit.
        """
        if self.listing != now.listing:
            raise PipelineError(
                "the source lists other images than when the job began, and its state is a place "
                "among those; start it anew"
            )
        if self.pipeline == now.pipeline:
            return self.history
        if not upgrade:
            changes = "; ".join(differences(self.pipeline, now.pipeline))
            raise PipelineError(
                f"the state is of another pipeline: {changes}; restore the same one, or allow the "
                "change with `upgrade` (--upgrade)"
            )
        return self.history.going_on(self.pipeline, now.pipeline, drop_state)


_NOTES = StateCodec(Note, "note of its job", version=1)


def note_behind(rest: Rest, snapshot: str) -> Note | None:
    """Return the note of the job that wrote a checkpoint or savepoint.

    None where the cluster does not know the job any more, or it was none of ours.
    """
    found = _JOB.search(snapshot)
    if found is None:
        return None
    begin = found[1] or found[2]
    ids = [j["jid"] for j in rest.get("/jobs/overview")["jobs"] if j["jid"].startswith(begin)]
    for job_id in ids:
        note = _parameters(rest, job_id).get(_PARAMETER)
        if note is not None:
            return _NOTES.decode(base64.urlsafe_b64decode(note))
    return None


def _parameters(rest: Rest, job_id: str) -> dict[str, Any]:
    told = rest.get(f"/jobs/{job_id}/config").get("execution-config") or {}
    return dict(told.get("user-config") or {})
