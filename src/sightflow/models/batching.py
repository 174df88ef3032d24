"""The micro-batcher: calls that several workers make at the same time become one call of the model.

A worker waits inside its call until its answer is there. Nothing is therefore buffered between
records: a checkpoint of the worker comes after the answers of all it has taken, and a failure
loses nothing. Memory is bounded by the number of workers.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sightflow.errors import ModelError
from sightflow.protocols import Model

__all__ = ["MicroBatcher"]

Outputs = Mapping[str, npt.NDArray[Any]]


@dataclass(slots=True, eq=False)
class _Call:
    """What one worker asks."""

    batch: npt.NDArray[Any]
    """[B, ...]."""
    arrived: float = field(default_factory=time.monotonic)
    answers: list[Outputs | Exception] = field(default_factory=list)
    """One, once it is there."""


class MicroBatcher:
    """A model that merges the calls of several threads.

    There is no thread of its own: one of the callers leads, runs the model for all who have come,
    and hands over to a caller that came meanwhile.
    """

    def __init__(self, model: Model, *, max_batch: int, max_wait_ms: float) -> None:
        """Wrap a model.

        Args:
            model: called by one thread at a time.
            max_batch: images in one call of the model; a larger call of one worker stays whole.
            max_wait_ms: how long the first caller waits for others, in milliseconds; 0 takes only
                those who came while the model was busy.
        """
        self._model = model
        self._max_batch = max_batch
        self._max_wait_s = max_wait_ms / 1000
        self._changed = threading.Condition()
        self._waiting: list[_Call] = []
        self._led = False

    def __call__(self, batch: npt.NDArray[Any]) -> Outputs:
        """Return the outputs for [B, ...], by name, each [B, ...].

        Raises:
            Exception: what the model raised, in each of the callers whose images it had.
        """
        call = _Call(batch)
        with self._changed:
            self._waiting.append(call)
            self._changed.notify_all()
        while self._must_lead(call):
            self._lead()
        answer = call.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _must_lead(self, call: _Call) -> bool:
        """Wait until a call is answered (False) or nobody leads and its caller has to (True)."""
        with self._changed:
            while self._led and not call.answers:
                self._changed.wait()
            if call.answers:
                return False
            self._led = True
            return True

    def _lead(self) -> None:
        """Run the model for those who have come; then let another lead.

        Whatever happens, each of them gets an answer: Ctrl-C is raised here and is an error there.
        """
        calls: list[_Call] = []
        answers: list[Outputs | Exception] = []
        try:
            calls = self._gather()
            answers = self._run(calls)
        except Exception as error:
            answers = [error] * len(calls)
        finally:
            with self._changed:
                lost = RuntimeError("the call of the model was interrupted")
                for call, answer in zip(calls, answers or [lost] * len(calls), strict=True):
                    call.answers.append(answer)
                self._led = False
                self._changed.notify_all()

    def _gather(self) -> list[_Call]:
        """Wait until the batch is full or the first has waited long enough; take what fits."""
        with self._changed:
            deadline = self._waiting[0].arrived + self._max_wait_s
            while sum(len(call.batch) for call in self._waiting) < self._max_batch:
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            taken, n_images = 1, len(self._waiting[0].batch)
            for call in self._waiting[1:]:
                n_images += len(call.batch)
                if n_images > self._max_batch:
                    break
                taken += 1
            calls, self._waiting = self._waiting[:taken], self._waiting[taken:]
            return calls

    def _run(self, calls: list[_Call]) -> list[Outputs | Exception]:
        if len(calls) == 1:
            return [self._model(calls[0].batch)]
        outputs = self._model(np.concatenate([call.batch for call in calls]))
        ends = np.cumsum([len(call.batch) for call in calls])
        for name, array in outputs.items():
            if array.shape[:1] != (ends[-1],):
                raise ModelError(
                    f"output {name!r} must have a row for each of {ends[-1]} images to be called "
                    f"for several workers at once; got {list(array.shape)}; set `max_batch: 1`"
                )
        return [
            {name: array[end - len(call.batch) : end] for name, array in outputs.items()}
            for call, end in zip(calls, ends, strict=True)
        ]
