"""Run a pipeline on embedded Flink: a cluster inside one Java process on this machine."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from py4j.protocol import Py4JError, Py4JJavaError

from sightflow.engine.delivery import Delivery, Progress, RunTimes, finish
from sightflow.engine.interrupts import noticing_interrupts
from sightflow.engine.plan import Work, chunks_of, is_continuous
from sightflow.errors import JobError, SetupError
from sightflow.flink.failures import describe_failure, read_failure
from sightflow.flink.gateway import end_lost, log_directory
from sightflow.flink.job import Job
from sightflow.flink.manifest import Manifest
from sightflow.flink.notes import Tail, relay
from sightflow.flink.reporters import check_port, warn_unheard
from sightflow.flink.rundir import RunDirectory, run_directory
from sightflow.flink.runfiles import RunFiles
from sightflow.flink.running import RunningJob
from sightflow.flink.start import start
from sightflow.pipeline import Pipeline
from sightflow.protocols import ConnectorSource, StreamSource
from sightflow.records import Row
from sightflow.records.ledger import Ledger, Summary
from sightflow.settings import RunSettings

__all__ = ["run"]

_POLL_S = 0.1


def run(
    pipeline: Pipeline,
    settings: RunSettings | None = None,
    *,
    on_progress: Callable[[Ledger, int | None], None] = lambda ledger, n_images: None,
    on_event: Callable[[Row], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Run a pipeline to its end on embedded Flink.

    Args:
        pipeline: what to do.
        settings: how.
        on_progress: told the ledger so far and how many images there are (None: nobody knows, the
            source is a stream), now and then.
        on_event: told each event soon after it was delivered; after a restart some come again.
        stop: asked now and then; once it says so, or at the first Ctrl-C, a stream ends where it
            is, and its output appears. A source of claims has an end of its own. A run whose
            results appear as they come, with a `state_dir`, stops there and can go on.

    Returns:
        The ledger and the times of the run; the output is in the sinks.

    Raises:
        SightflowError: the configuration cannot work, Java or Flink is missing, or the job failed;
            a `JobError` carries the Python error of the step.
    """
    started = time.time()
    settings = settings or RunSettings()
    check_port(settings.web_ui_port, "Flink's page")
    check_port(settings.metrics_port, "the metrics")
    workers = settings.n_workers
    inference = settings.inference(workers)
    java = start(pipeline, inference)
    warn_unheard(settings.otlp_url)
    with run_directory(pipeline, settings) as directory:
        pipeline.check(without_sinks=directory.sinks_that_are_there)
        if settings.device not in ("auto", "cpu"):
            for model in pipeline.models:
                model.load(inference)  # raises where the device is not there
        tells = on_event is not None
        if not directory.can_go_on:
            directory.note(_listed(pipeline, settings, directory.files), started)
            # Takes the files early; it is all there is without chunks.
            Delivery(dict(pipeline.result_sinks), Progress()).close()
        work, place = directory.work, directory.progress
        if work.n_chunks != 0 and not directory.is_complete:
            java.result()
            history = directory.history
            running = history.continued(pipeline)
            job = Job(running, settings, inference, workers, directory.files, history, tells)
            with _java_errors():
                place = _execute(job, directory, on_progress, on_event, stop)
        times = RunTimes(directory.started, "flink", workers)
        if not place.is_complete(work.n_chunks):
            return times.summary(place, has_ended=False)
        return finish(
            pipeline,
            place,
            work.n_images,
            times,
            committed=directory.committed,
            on_commit=directory.note_commit,
        )


def _listed(pipeline: Pipeline, settings: RunSettings, files: RunFiles) -> Work:
    """List the work of a source into a file of the run."""
    if isinstance(pipeline.source, StreamSource):
        return Work()
    return Manifest(files.claims).write(chunks_of(pipeline, settings))


def _execute(
    job: Job,
    directory: RunDirectory,
    on_progress: Callable[[Ledger, int | None], None],
    on_event: Callable[[Row], None] | None,
    stop: Callable[[], bool],
) -> Progress:
    """Run the job until its last chunk is delivered, or it has stopped to go on another time.

    Returns:
        Where its delivery stands.
    """
    n_chunks, n_images = directory.work.n_chunks, directory.work.n_images
    before = directory.progress
    environment = job.build(n_chunks, directory.snapshot)
    job.files.progress.unlink(missing_ok=True)  # of an earlier run
    running = RunningJob(environment.execute_async(job.pipeline.name), job.files)
    place = Progress()
    tell = _teller(job, on_event)
    try:
        _check_metrics(job, running)
        with noticing_interrupts(patience=1 if n_chunks is None else 0) as interrupts:
            while not running.has_ended():
                time.sleep(_POLL_S)
                place = directory.progress
                on_progress(place.ledger, n_images)
                tell()
                interrupts.check()
                if place.is_complete(n_chunks) and not job.uses_connectors:
                    running.end()
                elif place.is_complete(n_chunks) or _is_read(job, running):
                    running.settle(drain=job.has_clocks)
                elif interrupts.came or stop():
                    _stop(job, running)
        tell()
        running.raise_failure(is_complete=directory.progress.is_complete(n_chunks))
    except Py4JError:
        raise
    except BaseException:  # Ctrl-C, or what `on_progress` raises: the job must not go on
        running.cancel()
        raise
    return _place_behind(directory, running, before)


def _check_metrics(job: Job, running: RunningJob) -> None:
    """Raise `SetupError` if Prometheus would find another run, or nothing, at the port."""
    port = job.settings.metrics_port
    if port is not None and not running.serves_metrics():
        raise SetupError(
            f"port {port} of 127.0.0.1 must be free for the metrics; another process took it "
            "while this run started; choose another"
        )


def _place_behind(directory: RunDirectory, running: RunningJob, before: Progress) -> Progress:
    """Return where the delivery of a job stands that has ended.

    Raises:
        JobError: it ended too early.
    """
    if not directory.files.progress.exists():  # it had ended in its checkpoint, so nobody told
        directory.files.progress.write_bytes(before.encode())
    place, n_chunks = directory.progress, directory.work.n_chunks
    if place.is_complete(n_chunks):
        directory.note_settled()
    elif not running.was_stopped:
        raise JobError("the job ended before all was delivered; run it again")
    return place


def _is_read(job: Job, running: RunningJob) -> bool:
    """Return whether a connector has read all there is, while the clocks of tables go on.

    Where there are none the job tells by itself.
    """
    reads = isinstance(job.pipeline.source, ConnectorSource) and bool(job.pipeline.tables)
    return reads and running.has_finished("recognise")


def _stop(job: Job, running: RunningJob) -> None:
    """Stop a job as somebody asked: to go on another time, or for good."""
    if is_continuous(job.pipeline) and job.settings.state_dir is not None:
        running.stop(drain=False)
    elif job.is_ticking:
        job.files.stop.touch()
    elif isinstance(job.pipeline.source, ConnectorSource):
        running.stop(drain=True)


def _teller(job: Job, on_event: Callable[[Row], None] | None) -> Callable[[], None]:
    """Return a function that passes on what was logged in the job, and its events."""
    notes, events = Tail(job.files.log), Tail(job.files.events)

    def tell() -> None:
        relay(notes)
        if on_event is not None:
            for line in events.lines():
                on_event(orjson.loads(line))

    return tell


@contextmanager
def _java_errors() -> Iterator[None]:
    """Make what Java reports, or its death, into a `JobError`."""
    try:
        yield
    except Py4JJavaError as error:
        raise _job_error(error) from error
    except Py4JError as error:
        end_lost()
        raise JobError(
            "the Java process that ran the job is gone: it was killed, ran out of memory, or a "
            f"native library crashed in it; its log is {_kept_log()}"
        ) from error


def _job_error(error: Any) -> JobError:
    """Return a failed job's error: the Python one of a step where there is one."""
    text = str(error)
    why = describe_failure(text)
    if read_failure(text) is not None:
        return JobError(why)
    return JobError(f"the Flink job failed: {why}; its log is {_kept_log()}")


def _kept_log() -> Path:
    """Copy Flink's log to where it outlives this process."""
    kept = Path(tempfile.mkdtemp(prefix="sightflow-failed-"))
    shutil.copytree(log_directory(), kept, dirs_exist_ok=True)
    return kept
