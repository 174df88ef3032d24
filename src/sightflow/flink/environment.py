"""Where a Flink job runs, and every setting that matters there."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway

from sightflow.flink.reporters import reporter_options
from sightflow.flink.runfiles import RunFiles
from sightflow.settings import RunSettings

__all__ = ["MAX_PARALLELISM", "TICK_S", "Remote", "local_environment", "remote_environment"]

_JAR = Path(__file__).parent / "jars" / "sightflow-flink.jar"
MAX_PARALLELISM = 1024
"""State can be shared among so many workers."""
TICK_S = 0.02
"""Time between ticks of a clock that lets Python read; a checkpoint waits for one, or for the
workers where they are behind."""


def local_environment(
    settings: RunSettings, files: RunFiles, workers: int, snapshot: Path | None
) -> StreamExecutionEnvironment:
    """Return embedded Flink, which is a cluster inside the Java process; Java must be up.

    Args:
        settings: of the run.
        files: of the run, where its checkpoints lie.
        workers: parallelism of the job.
        snapshot: checkpoint or savepoint that it goes on from.
    """
    configuration = _configured(
        {
            **_common(settings, workers),
            "python.executable": sys.executable,
            "execution.checkpointing.dir": files.checkpoints.as_uri(),
            "execution.checkpointing.savepoint-dir": files.savepoints.as_uri(),
            # What may be lost was told before: see `engine.upgrade`. Tables are read again.
            "execution.state-recovery.ignore-unclaimed-state": "true",
            "io.tmp.dirs": str(files.scratch),
            "metrics.fetcher.update-interval": "1000 ms",  # when asked over REST
            "rest.address": "127.0.0.1",
            "rest.bind-address": "127.0.0.1",
            "rest.bind-port": str(settings.web_ui_port or 0),
            **reporter_options(settings),
            **_retries(settings.restart_attempts),
            **_going_on_from(None if snapshot is None else snapshot.as_uri()),
        }
    )
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.add_jars(_JAR.as_uri())
    return env


@dataclass(frozen=True)
class Remote:
    """A cluster that is there already, and how a job is put onto it."""

    host: str
    port: int
    """Of REST."""
    python: str
    """What a TaskManager runs Python with; found by its PATH."""
    files: tuple[Path, ...]
    """Archives for the path of Python on each TaskManager; Flink unpacks them there."""
    state_dir: str | None
    """URL of the folder for checkpoints and savepoints; None takes that of the cluster."""
    snapshot: str | None
    """URL of the checkpoint or savepoint that the job goes on from."""
    parameters: str
    """What is noted of the job, as `KEY:VALUE`."""
    may_lose_state: bool
    """Whether state that nothing takes is left: which one was told before."""


def remote_environment(
    settings: RunSettings, remote: Remote, workers: int
) -> StreamExecutionEnvironment:
    """Return the environment of a job for a cluster; Java must be up here to build the graph.

    What is not set is as the cluster is configured: after a failure a job starts again as often as
    that says, unless `restart_attempts` does.
    """
    attempts = settings.restart_attempts
    configuration = _configured(
        {
            **_common(settings, workers),
            "execution.target": "remote",
            "execution.attached": "false",
            "rest.address": remote.host,
            "rest.port": str(remote.port),
            "python.executable": remote.python,
            **(_retries(attempts) if attempts else {}),
            "pipeline.global-job-parameters": remote.parameters,
            "execution.state-recovery.ignore-unclaimed-state": str(remote.may_lose_state).lower(),
            **_kept_in(remote.state_dir),
            **_going_on_from(remote.snapshot),
        }
    )
    # `get_execution_environment` would make an embedded one, whatever the target is.
    java = get_gateway().jvm.org.apache.flink.streaming.api.environment
    env = StreamExecutionEnvironment(
        java.StreamExecutionEnvironment(configuration._j_configuration)
    )
    env.add_jars(_JAR.as_uri())
    for path in remote.files:
        env.add_python_file(str(path))
    return env


def _common(settings: RunSettings, workers: int) -> dict[str, str]:
    """Return what is set wherever a job runs."""
    return {
        "python.execution-mode": "thread",
        "python.client.executable": sys.executable,
        "parallelism.default": str(workers),
        "pipeline.max-parallelism": str(MAX_PARALLELISM),
        "execution.buffer-timeout.interval": "0 ms",  # what is there goes on at once
        "execution.checkpointing.interval": f"{settings.checkpoint_interval_ms} ms",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
    }


def _retries(attempts: int) -> dict[str, str]:
    """Return how often a failed job starts again."""
    if not attempts:
        return {"restart-strategy.type": "none"}
    return {
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": str(attempts),
        "restart-strategy.fixed-delay.delay": "100 ms",
    }


def _kept_in(folder: str | None) -> dict[str, str]:
    """Return where state lies."""
    if folder is None:
        return {}
    return {
        "execution.checkpointing.dir": f"{folder.rstrip('/')}/checkpoints",
        "execution.checkpointing.savepoint-dir": f"{folder.rstrip('/')}/savepoints",
    }


def _going_on_from(snapshot: str | None) -> dict[str, str]:
    return {} if snapshot is None else {"execution.state-recovery.path": snapshot}


def _configured(options: Mapping[str, str]) -> Configuration:
    configuration = Configuration()
    for key, value in options.items():
        configuration.set_string(key, value)
    return configuration
