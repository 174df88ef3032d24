"""The functions of SQL as Flink calls them: a batch of rows in, a batch of answers out.

They are vectorised (pandas) functions: rows of a batch come together, so steps work on batches as
in a pipeline, and functions in one another, such as `CLASSIFY_IMAGE(READ_IMAGE(uri))`, hand their
values on inside Python. An asynchronous Python function is out of the question: in Flink 2.3.0 it
returns the answers of other rows.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Any, TypeAlias

import pandas as pd
from pyflink.table.udf import FunctionContext, ScalarFunction

from sightflow.flink.failures import reporting
from sightflow.flink.sql.looking import Answer, open_look, problem, read_places, similarity
from sightflow.protocols import Context, Inference
from sightflow.records import Outcome
from sightflow.settings import RunSettings
from sightflow.storage.files import Reader

__all__ = ["CheckFile", "CompareFaces", "LookAt", "ReadImage"]

Column: TypeAlias = "pd.Series[Any]"

_OPENING = threading.Lock()
"""Libraries that set themselves up at their first use are not all safe against two threads."""


class LookAt(ScalarFunction):
    """Steps that look at pictures, and what is told of each: `CLASSIFY_IMAGE` and others."""

    def __init__(
        self,
        steps: Sequence[tuple[str, Any]],
        answer: Callable[[Outcome | None], Answer],
        settings: RunSettings,
        inference: Inference,
    ) -> None:
        """Take the steps, and the function from what comes of a picture to an answer."""
        self._steps = steps
        self._answer = answer
        self._settings = settings
        self._inference = inference

    def open(self, function_context: FunctionContext) -> None:
        """Open the steps in this worker; models are shared with other workers of the process."""
        self._resources = ExitStack()
        context = Context("sql", self._inference, resources=self._resources)
        with reporting(), _OPENING:
            self._look = open_look(self._steps, self._settings, self._inference, context)

    def eval(self, pictures: Column) -> Column:
        """Answer a batch."""
        with reporting():
            return _column(map(self._answer, self._look(list(pictures))))

    def close(self) -> None:
        """Release what the steps hold."""
        self._resources.close()


class ReadImage(ScalarFunction):
    """Read files: `READ_IMAGE`. NULL is a file that cannot be read."""

    def open(self, function_context: FunctionContext) -> None:
        """Begin with no archive open."""
        self._reader = Reader()

    def eval(self, places: Column) -> Column:
        """Read a batch."""
        read = read_places(self._reader, list(places))
        return _column(None if isinstance(one, OSError) else one for one in read)


class CheckFile(LookAt):
    """Read files and say of each why it cannot be shown: `CHECK_FILE`."""

    def open(self, function_context: FunctionContext) -> None:
        """Begin with no archive open."""
        super().open(function_context)
        self._reader = Reader()

    def eval(self, places: Column) -> Column:
        """Check a batch."""
        read = read_places(self._reader, list(places))
        seen = self._look([None if isinstance(one, OSError) else one for one in read])
        with reporting():
            return _column(
                {"reason": "unreadable", "message": str(one)}
                if isinstance(one, OSError)
                else problem(outcome)
                for one, outcome in zip(read, seen, strict=True)
            )


class CompareFaces(ScalarFunction):
    """Compare embeddings: `FACE_SIMILARITY`."""

    def eval(self, one: Column, other: Column) -> Column:
        """Compare a batch of pairs."""
        with reporting():
            return _column(map(similarity, one, other))


def _column(answers: Iterable[Answer]) -> Column:
    """Return answers as a column of objects: pandas must not make rows or numbers of them."""
    return pd.Series(list(answers), dtype=object)
