"""Where a Flink job runs, and every setting that matters there."""

import sys
from pathlib import Path

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment

from sightflow.flink.runfiles import RunFiles
from sightflow.settings import RunSettings

__all__ = ["MAX_PARALLELISM", "local_environment"]

_JAR = Path(__file__).parent / "jars" / "sightflow-flink.jar"
MAX_PARALLELISM = 1024
"""State can be shared among so many workers."""


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
    attempts = settings.restart_attempts
    retry = {"restart-strategy.type": "none"}
    if attempts:
        retry = {
            "restart-strategy.type": "fixed-delay",
            "restart-strategy.fixed-delay.attempts": str(attempts),
            "restart-strategy.fixed-delay.delay": "100 ms",
        }
    configuration = Configuration()
    for key, value in {
        "python.execution-mode": "thread",
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "parallelism.default": str(workers),
        "pipeline.max-parallelism": str(MAX_PARALLELISM),
        "execution.buffer-timeout.interval": "0 ms",  # what is there goes on at once
        "execution.checkpointing.interval": f"{settings.checkpoint_interval_ms} ms",
        "execution.checkpointing.dir": files.checkpoints.as_uri(),
        "execution.checkpointing.savepoint-dir": files.savepoints.as_uri(),
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        # What may be lost was told before: see `engine.upgrade`. Tables are read again.
        "execution.state-recovery.ignore-unclaimed-state": "true",
        "io.tmp.dirs": str(files.scratch),
        "metrics.fetcher.update-interval": "1000 ms",  # when asked over REST
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.bind-port": str(settings.web_ui_port or 0),
        **retry,
        **({} if snapshot is None else {"execution.state-recovery.path": snapshot.as_uri()}),
    }.items():
        configuration.set_string(key, value)
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.add_jars(_JAR.as_uri())
    return env
