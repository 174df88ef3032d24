"""Connectors: systems that Flink reads from, or writes to, by classes of its own.

A description names the place of its connector, a class, as `package.module:Class`.
"""

from collections.abc import Callable
from typing import Any, Protocol

from sightflow.engine.chunks import Content
from sightflow.errors import PipelineError
from sightflow.flink.jars import Jar
from sightflow.kinds import imported
from sightflow.protocols import ConnectorSource, Context, Message, MessageSink

__all__ = ["Connector", "connector_of"]


class Connector(Protocol):
    """How descriptions of one system become classes of Flink."""

    jars: tuple[Jar, ...]
    """What it needs beside Flink and our own jar."""

    def source(self, source: Any, /) -> Any:
        """Return Java's source; its records are arrays of bytes."""

    def reader(self, source: Any, context: Context, /) -> Callable[[bytes], Content]:
        """Return what makes a record into an image, or news, in a worker."""

    def sink(self, sink: Any, /, *, number: int, prefix: str) -> Any:
        """Return Java's sink for arrays of bytes that `sent` makes; those of others are left out.

        Args:
            sink: the description.
            number: of the sink among those of the pipeline.
            prefix: for names of what is under way: the same when the job goes on, and that of no
                other job.
        """

    def sent(self, number: int, message: Message, /) -> bytes:
        """Return a message of the sink with a number."""


def connector_of(part: ConnectorSource | MessageSink) -> Connector:
    """Return the connector that a description names.

    Raises:
        PipelineError: it names none, or it is not there.
    """
    name = getattr(part, "connector", None)
    if name is None:
        raise PipelineError(
            f"{type(part).__name__}: on Flink it needs a class variable `connector`, which names "
            "a class, `package.module:Class`; use the inline runner"
        )
    connector: Connector = imported(name, f"the connector of {type(part).__name__}")()
    return connector
