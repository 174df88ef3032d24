"""What a part that is opened in a worker knows of the job around it."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from sightflow.records import Outcome

__all__ = [
    "Context",
    "Inference",
    "Metrics",
    "NoMetrics",
    "Place",
    "Recall",
    "Tables",
    "Trainer",
]

Place: TypeAlias = tuple[int, int]
"""Where an image was listed: number of its chunk, and row in it."""

Recall: TypeAlias = Callable[[Sequence[Place]], Sequence[Outcome]]
"""Reads images again and passes them through the stateless steps; one outcome for each place."""

Tables: TypeAlias = Callable[[Any], Callable[[], Any]]
"""For a `TableSource` of the pipeline: returns a function that returns its `Table`, and waits
where it is not complete yet."""


@dataclass(frozen=True)
class Inference:
    """How models are run in a worker."""

    device: str = "auto"
    """`cpu`, `cuda`, `tensorrt`, with `:N` for a certain one; `auto` takes a GPU that works."""
    n_threads: int = 1
    """Threads of a model on a CPU: the caller's, and a pool that all callers share."""
    max_batch: int = 32
    """Images in one call that serves several workers."""
    max_wait_ms: float | None = None
    """How long a call may wait for those of other workers; None merges calls only on a device that
    gains from it, without waiting."""


class Metrics(Protocol):
    """Where a part reports what it does while the job runs."""

    def count(self, name: str, n: int = 1, /) -> None:
        """Add to a counter."""

    def observe(self, name: str, value: float, /) -> None:
        """Add a value to a distribution; names end in the unit, such as `decode_ms`."""

    def measure(self, name: str, value: float, /) -> None:
        """Say how large something is now, such as `loss`."""


class NoMetrics:
    """Keeps nothing."""

    def count(self, name: str, n: int = 1, /) -> None:
        """Do nothing."""

    def observe(self, name: str, value: float, /) -> None:
        """Do nothing."""

    def measure(self, name: str, value: float, /) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Trainer:
    """One of the places in which a learning step works at the same time."""

    number: int = 0
    """From 0."""
    of: int = 1
    """How many places there are."""
    ends_last: bool = True
    """Whether it gets the last chunk of the run; this one publishes."""


def _empty_table(source: Any) -> Callable[[], Any]:
    """Return what gives a table without rows, where no job keeps one."""
    table = source.open_table()
    return lambda: table


@dataclass(frozen=True)
class Context:
    """What an opened part knows of the job around it.

    From `run_id` to `recall` it is for steps that learn.
    """

    step: str
    """Name of the step, for errors and results."""
    inference: Inference = field(default_factory=Inference)
    metrics: Metrics = field(default_factory=NoMetrics)
    resources: ExitStack = field(default_factory=ExitStack)
    """What `open` acquires is registered here; it is closed when the worker stops."""
    tables: Tables = _empty_table
    """Gives the tables that steps look things up in."""
    run_id: str = "run"
    """The same after each restart of a run, and another one for each run."""
    trainer: Trainer = Trainer()
    """Which of several places this is."""
    last_trainer: int = 0
    """Number of the place that gets the last chunk of the run."""
    shared: Path | None = None
    """Folder that all workers of the run can reach."""
    recall: Recall | None = None
    """None where the source gives its images only once."""
    settings: Callable[[], Any] | None = None
    """For a stream: gives what is set while the job runs, a `tasks.control.Settings`; None: nothing
    is."""

    def at(self, step: str) -> "Context":
        """Return the same context for another step."""
        return replace(self, step=step)
