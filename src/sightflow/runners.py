"""`run`: one call for every runner; `submit`: a job that stays on a cluster."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightflow import inline
from sightflow.engine.plan import informed
from sightflow.engine.viewfiles import ViewFiles
from sightflow.pipeline import Pipeline
from sightflow.records import Row
from sightflow.records.ledger import Ledger, Summary
from sightflow.settings import ClusterSettings, RunSettings

if TYPE_CHECKING:
    from sightflow.flink.submit import Submitted

__all__ = ["run", "submit"]


def run(
    pipeline: Pipeline,
    settings: RunSettings | None = None,
    *,
    on_progress: Callable[[Ledger, int | None], None] = lambda ledger, n_images: None,
    on_event: Callable[[Row], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Run a pipeline to its end.

    Args:
        pipeline: what to do.
        settings: how, and with which runner; embedded Flink where it says nothing else.
        on_progress: told the ledger so far and how many images there are (None: nobody knows, the
            source is a stream), now and then.
        on_event: told each event soon after it was delivered; after a restart some come again.
        stop: asked now and then; once it says so, or at the first Ctrl-C, a stream ends where it
            is, and its output appears. A source of claims has an end of its own.

    Returns:
        The ledger and the times of the run; the output is in the sinks.

    Raises:
        SightflowError: the configuration cannot work, the runner is not there, or the job failed.
    """
    settings = settings or RunSettings()
    pipeline = informed(pipeline)
    if settings.view_dir is not None:
        ViewFiles(Path(settings.view_dir)).prepare()
    if settings.runner == "inline":
        return inline.run(pipeline, settings, on_progress=on_progress, on_event=on_event, stop=stop)
    from sightflow.flink.run import run as run_on_flink  # loads pyflink, so only when asked

    return run_on_flink(pipeline, settings, on_progress=on_progress, on_event=on_event, stop=stop)


def submit(
    pipeline: Pipeline,
    settings: RunSettings | None = None,
    *,
    rest_url: str,
    on_stage: Callable[[str], None] = lambda words: None,
    **more: Any,
) -> "Submitted":
    """Submit a pipeline to a Flink cluster, where the job goes on without this process.

    Args:
        pipeline: what to do. Its sinks must show their output while the job goes on.
        settings: how; `workers` None takes every free slot.
        rest_url: REST of the cluster, such as `http://flink:8081`.
        on_stage: told what is done now: packing, sending, starting.
        more: other fields of `ClusterSettings`, such as `env="auto"` or `packages=("mine",)`.

    Returns:
        The job (`job_id`), once all its tasks run.

    Raises:
        SightflowError: the configuration cannot work, no cluster answers, or the job failed as it
            started.
    """
    from sightflow.flink.submit import submit as submit_to_flink  # loads pyflink

    cluster = ClusterSettings(rest_url, **more)
    settings = settings or RunSettings()
    return submit_to_flink(informed(pipeline), settings, cluster, on_stage=on_stage)
