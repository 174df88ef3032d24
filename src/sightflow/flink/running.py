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
        self._is_cancelled = False
        self._next_look_at = 0.0

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

    def raise_failure(self, *, is_complete: bool) -> None:
        """Raise why it failed; one that was cancelled with a complete output has not failed.

        Raises:
            Py4JError: it failed.
        """
        if not (is_complete and self._is_cancelled):
            self._result.result()

    def serves_metrics(self) -> bool:
        """Return whether Flink could open the port of the metrics; it goes on without.

        Of a job that has ended already nobody can tell.
        """
        registry = _field(self._cluster(), "metricRegistry")
        reporters = [] if registry is None else registry.getReporters()
        names = [one.getClass().getSimpleName() for one in reporters]
        return "LoopbackReporter" in names or self.has_ended()

    def has_finished(self, name: str) -> bool:
        """Return whether all tasks of a box of the graph have finished, now and then."""
        if time.monotonic() < self._next_look_at:
            return False
        self._next_look_at = time.monotonic() + _SETTLE_EVERY_S
        try:
            graph = self._cluster().getExecutionGraph(self._client._j_job_client.getJobID()).get()
            boxes = list(graph.getAllVertices().values())
        except Py4JJavaError:  # it ends at this moment
            return False
        states = [str(box.getAggregateState()) for box in boxes if name in box.getName()]
        return bool(states) and set(states) == {"FINISHED"}

    def settle(self, *, drain: bool) -> None:
        """Let a job end to which nothing will come; may be called again and again.

        Its last checkpoint is asked for, since the next may be an interval away.

        Args:
            drain: whether something in it never ends by itself.
        """
        if drain:
            self.stop(drain=True)
        elif time.monotonic() >= self._next_look_at:
            self._next_look_at = time.monotonic() + _SETTLE_EVERY_S
            with suppress(Py4JJavaError):  # it ends at this moment
                self._cluster().triggerCheckpoint(self._client._j_job_client.getJobID())

    def _cluster(self) -> Any:
        """Return the cluster inside the client, which it hides."""
        return _field(self._client._j_job_client, "miniCluster")

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
        self._is_cancelled = True
        with suppress(Py4JJavaError):  # it ends at this moment
            self._client.cancel().result()
        deadline = time.monotonic() + _CANCEL_TIMEOUT_S
        while not self.has_ended():
            if time.monotonic() > deadline:
                raise JobError(
                    f"the job has not ended {_CANCEL_TIMEOUT_S:.0f} s after it was cancelled"
                )
            time.sleep(_POLL_S)


def _field(of_java: Any, name: str) -> Any:
    """Return what an object of Java hides in a field."""
    field = of_java.getClass().getDeclaredField(name)
    field.setAccessible(True)
    return field.get(of_java)
