"""Submit a pipeline to a Flink cluster: what its workers need goes along, and the job stays there.

Nothing is shared but what Flink itself keeps: no folder of the client is looked into later.
"""

import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from py4j.protocol import Py4JError
from pyflink import version as pyflink_version

from sightflow.engine.plan import chunks_of
from sightflow.engine.upgrade import Description, History
from sightflow.errors import JobError, PipelineError, SetupError
from sightflow.flink.bundle import Bundle, pack_environment, pack_run
from sightflow.flink.environment import Remote, remote_environment
from sightflow.flink.failures import refusal_of
from sightflow.flink.gateway import start_gateway
from sightflow.flink.job import Job
from sightflow.flink.jobs import cancel, failure_of
from sightflow.flink.places import check_places
from sightflow.flink.rest import Rest
from sightflow.flink.restoring import Note, note_behind
from sightflow.flink.runfiles import RunFiles
from sightflow.pipeline import Pipeline
from sightflow.protocols import MessageSink, StreamSource, appears_as_it_comes
from sightflow.settings import ClusterSettings, RunSettings

__all__ = ["Submitted", "submit"]

_FLINK = pyflink_version.__version__
_START_TIMEOUT_S = 120.0
_POLL_S = 0.2
_FREEING_S = 5.0
"""The slots of a job that has just ended are not free at once."""


@dataclass(frozen=True)
class Submitted:
    """A job that runs on a cluster."""

    job_id: str
    n_images: int | None
    """How many images the source listed; None for a stream."""
    workers: int
    n_bytes: int
    """How much was sent to the cluster."""
    seconds: float
    """From the call until the job ran."""


def submit(
    pipeline: Pipeline,
    settings: RunSettings,
    cluster: ClusterSettings,
    *,
    on_stage: Callable[[str], None] = lambda words: None,
) -> Submitted:
    """Submit a pipeline.

    Args:
        pipeline: what to do.
        settings: how; `workers` None takes every free slot.
        cluster: where, and what goes along.
        on_stage: told what is done now.

    Returns:
        The job, once all its tasks run.

    Raises:
        SightflowError: the configuration cannot work, no cluster answers, or the job failed as it
            started.
    """
    started = time.monotonic()
    rest = Rest(cluster.rest_url)
    _check(pipeline, settings, cluster.shared)
    workers = _workers(rest, settings, wait_for_slots=cluster.wait_for_slots)
    before = _before(rest, cluster)
    pipeline.check(without_sinks=_sinks_that_are_there(pipeline, cluster, before))
    on_stage("packing")
    with tempfile.TemporaryDirectory(prefix="sightflow-submit-") as folder:
        bundle = _packed(Path(folder), pipeline, settings, cluster)
        note = _noted(cluster, pipeline, bundle, before)
        n_bytes = bundle.n_bytes
        on_stage(f"sending {n_bytes / 1e6:.1f} MB")
        remote = Remote(
            rest.host,
            rest.port,
            cluster.python,
            bundle.files,
            cluster.state_dir,
            cluster.from_savepoint,
            note.as_parameter(),
            may_lose_state=before is not None,
        )
        job_id = _sent(_job(pipeline, settings, workers, note.history, bundle), remote, bundle)
    on_stage("starting")
    _await_start(rest, job_id)
    seconds = time.monotonic() - started
    return Submitted(job_id, bundle.work.n_images, workers, n_bytes, seconds)


def _workers(rest: Rest, settings: RunSettings, *, wait_for_slots: bool) -> int:
    """Return how many workers the job has: as asked, or one for each free slot."""
    overview = rest.get("/overview")
    there = overview.get("flink-version")
    if there != _FLINK:
        raise SetupError(
            f"{rest.url}: runs Flink {there} and Sightflow was made for {_FLINK}; take a cluster "
            "of that version"
        )
    wanted = settings.workers or max(1, int(overview["slots-available"]))
    deadline = time.monotonic() + _FREEING_S
    free, total = overview["slots-available"], overview["slots-total"]
    while free < wanted <= total and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        free = rest.get("/overview")["slots-available"]
    if wanted > free and not wait_for_slots:
        raise SetupError(
            f"{rest.url}: the job needs {wanted} slots, and {free} of {total} are free; start more "
            "TaskManagers, ask for less workers, or say that the cluster starts TaskManagers when "
            "they are needed (`wait_for_slots`)"
        )
    return wanted


def _check(pipeline: Pipeline, settings: RunSettings, shared: Sequence[str]) -> None:
    """Raise what can be known before anything is sent."""
    if settings.state_dir is not None:
        raise PipelineError(
            f"`state_dir: {settings.state_dir}` of the run is a folder of this machine; a job on "
            "a cluster keeps its state where the cluster does, or in a URL that is given when it "
            "is submitted"
        )
    if settings.view_dir is not None:
        raise PipelineError(
            f"`view_dir: {settings.view_dir}` of the run is a folder of this machine, and no page "
            "shows a job on a cluster; leave it out"
        )
    for named in pipeline.sinks:
        if not _needs_no_client(named.sink):
            raise PipelineError(
                f"sink {named.name!r}: {type(named.sink).__name__} is finished by the process that "
                "waits for the end of a run, and on a cluster none does; take a sink whose output "
                "appears while the job goes on"
            )
    if pipeline.n_trainers > 1:
        raise PipelineError(
            f"{pipeline.n_trainers} trainers share a folder, which the machines of a cluster do "
            "not; leave out `trainers`"
        )
    check_places(pipeline, shared)


def _needs_no_client(sink: object) -> bool:
    """Return whether all output of a sink appears from within the job."""
    return isinstance(sink, MessageSink) or appears_as_it_comes(sink)


def _packed(
    folder: Path, pipeline: Pipeline, settings: RunSettings, cluster: ClusterSettings
) -> Bundle:
    """Pack what the workers need into archives in a folder."""
    is_stream = isinstance(pipeline.source, StreamSource)
    return pack_run(
        folder,
        uuid.uuid4().hex,
        chunks=None if is_stream else chunks_of(pipeline, settings),
        models=pipeline.models,
        packages=cluster.packages,
        environment=pack_environment(cluster.env),
    )


def _before(rest: Rest, cluster: ClusterSettings) -> Note | None:
    """Return what is noted of the job that goes on, where the cluster knows it."""
    snapshot = cluster.from_savepoint
    return None if snapshot is None else note_behind(rest, snapshot)


def _sinks_that_are_there(
    pipeline: Pipeline, cluster: ClusterSettings, before: Note | None
) -> list[str]:
    """Return the sinks that go on with the output of the job before; all, where it is unknown."""
    now = Description.of(pipeline).sinks
    if before is None:
        return [] if cluster.from_savepoint is None else list(now)
    known = before.pipeline.sinks
    return [name for name in now if name in known and known[name].outputs == now[name].outputs]


def _noted(
    cluster: ClusterSettings, pipeline: Pipeline, bundle: Bundle, before: Note | None
) -> Note:
    """Return what is noted of this job.

    Where nothing is known of the one before, workers find out what they can: they refuse states
    that nothing takes.
    """
    described = Description.of(pipeline)
    now = Note(described, History(bundle.run_id, described.remembers), bundle.listing)
    if before is None:
        return now
    try:
        history = before.going_on(now, upgrade=cluster.upgrade, drop_state=cluster.drop_state)
    except PipelineError as error:
        raise PipelineError(f"{cluster.from_savepoint}: {error}") from error
    return replace(now, history=history)


def _job(
    pipeline: Pipeline, settings: RunSettings, workers: int, history: History, bundle: Bundle
) -> Job:
    """Return the job; of the cores of its workers nothing is known here."""
    return Job(
        history.continued(pipeline),
        settings,
        replace(settings.inference(workers), n_threads=settings.threads or 1),
        workers,
        RunFiles(bundle.files[0].with_suffix("")),
        history,
        tells_events=False,
        is_together=False,
    )


def _sent(job: Job, remote: Remote, bundle: Bundle) -> str:
    """Build the graph here and send it with its files; return the id of the job."""
    start_gateway()
    try:
        env = remote_environment(job.settings, remote, job.workers)
        with bundle.parcels.used():
            job.put_into(env, bundle.work.n_chunks)
            client = env.execute_async(job.pipeline.name)
        return str(client.get_job_id())
    except Py4JError as error:
        raise refusal_of(str(error)) from error


def _await_start(rest: Rest, job_id: str) -> None:
    """Wait until all tasks of a job run, or it has ended; cancel one that fails before that.

    Raises:
        JobError: it failed, and would fail again and again.
    """
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        job = rest.get(f"/jobs/{job_id}")
        states = {vertex["status"] for vertex in job["vertices"]}
        if job["state"] == "FINISHED" or states <= {"RUNNING", "FINISHED"}:
            return
        why = failure_of(rest, job_id)
        if why is not None:
            with suppress(JobError):  # it has ended already
                cancel(rest, job_id)
            raise JobError(f"the job failed as it started, and was cancelled: {why}")
        time.sleep(_POLL_S)
    raise JobError(
        f"job {job_id} has not started within {_START_TIMEOUT_S:.0f} s; it is still there: see "
        f"{rest.url}"
    )
