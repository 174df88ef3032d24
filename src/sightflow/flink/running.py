"""A job that runs on embedded Flink: stopped, waited for, cancelled."""

import time
from contextlib import suppress
from typing import Any

from py4j.protocol import Py4JJavaError
from pyflink.java_gateway import get_gateway

from sightflow.errors import JobError
from sightflow.flink.runfiles import RunFiles

__all__ = ["RunningJob"]

_POLL_S = 0.1
_END_TIMEOUT_S = 0.5
_SETTLE_EVERY_S = 1.0
_CANCEL_TIMEOUT_S = 30.0


class RunningJob:
    """A job that this process has started."""

    def __init__(self, client: Any, files: RunFiles) -> None:
        """Take the client that PyFlink gives."""
        self._client = client
        self._files = files
        self._result = client.get_job_execution_result()
        self._stopping: Any = None

    @property
    def was_stopped(self) -> bool:
        """Whether it has ended with a savepoint, to go on from."""
        return self._stopping is not None and self.has_ended()

    def has_ended(self) -> bool:
        """Return whether it runs no more, whatever the reason."""
        return bool(self._result.done())

    def stop(self, *, drain: bool) -> None:
        """Begin to stop it with a savepoint; may be called again and again.

        Args:
            drain: whether its streams end for good, rather than go on another time.
        """
        failed = self._stopping is not None and self._stopping.isCompletedExceptionally()
        if self._stopping is None or failed:  # while it restarts it cannot be stopped
            jvm = get_gateway().jvm
            native = jvm.org.apache.flink.core.execution.SavepointFormatType.NATIVE
            folder = self._files.savepoints.as_uri()
            self._stopping = self._client._j_job_client.stopWithSavepoint(drain, folder, native)

    def wait(self) -> None:
        """Wait for its end; raise why it failed."""
        while not self.has_ended():
            time.sleep(_POLL_S)
        self._result.result()

    def settle(self) -> None:
        """Wait for the end of a job to which nothing will come, and for its last checkpoint.

        That one is asked for, since the next may be an interval away.

        Raises:
            Py4JError: the job failed.
        """
        while not self.has_ended():
            self._checkpoint()
            deadline = time.monotonic() + _SETTLE_EVERY_S
            while not self.has_ended() and time.monotonic() < deadline:
                time.sleep(_POLL_S)
        self._result.result()

    def _checkpoint(self) -> None:
        """Ask for a checkpoint; only the cluster inside the client, which it hides, can do that."""
        of_java = self._client._j_job_client
        field = of_java.getClass().getDeclaredField("miniCluster")
        field.setAccessible(True)
        with suppress(Py4JJavaError):  # it ends at this moment
            field.get(of_java).triggerCheckpoint(of_java.getJobID())

    def end(self) -> None:
        """Let a job whose output is complete end by itself, but not wait for its last checkpoint.

        That may be an interval away, and nobody will read it. A stream's clock never ends by
        itself.
        """
        deadline = time.monotonic() + _END_TIMEOUT_S
        while not self.has_ended() and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        if not self.has_ended():
            self.cancel()

    def cancel(self) -> None:
        """Cancel it and wait until it has ended.

        Raises:
            JobError: it does not end.
        """
        with suppress(Py4JJavaError):  # it ends at this moment
            self._client.cancel().result()
        deadline = time.monotonic() + _CANCEL_TIMEOUT_S
        while not self.has_ended():
            if time.monotonic() > deadline:
                raise JobError(
                    f"the job has not ended {_CANCEL_TIMEOUT_S:.0f} s after it was cancelled"
                )
            time.sleep(_POLL_S)
