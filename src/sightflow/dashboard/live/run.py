"""A run, as the process that started it knows it."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["LiveRun"]


@dataclass
class LiveRun:
    """What is known of a run from outside; it is changed while the run goes on."""

    name: str
    runner: str
    workers: int
    started: float
    """In seconds since 1970."""
    can_restart: bool = False
    """Whether a job that has failed goes on."""
    total: int | None = None
    """How many images there are; None: nobody knows."""
    status: Literal["running", "ended", "stopped", "failed"] = "running"
    message: str | None = None
    """Why it failed."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.status != "running"
