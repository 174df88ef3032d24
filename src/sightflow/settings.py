"""How a pipeline is run: the one place of all defaults."""

import os
from dataclasses import dataclass

from sightflow.errors import PipelineError
from sightflow.ops.decode import MAX_PIXELS

__all__ = ["RunSettings", "n_cores"]


def n_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class RunSettings:
    """How a pipeline is run: speed and safety, not results unless a field says so."""

    runner: str = "flink"
    """`flink`, or `inline`: in this process, in plain Python."""
    workers: int | None = None
    """Flink's parallelism; None takes one for each core."""
    batch_size: int = 4
    """Images in one call of a model; on a CPU more does not pay."""
    max_pixels: int = MAX_PIXELS
    """Limit for width x height; larger images are rejected before they are decoded."""
    reduced_decode: bool = False
    """Decode a JPEG at 1/2, 1/4 or 1/8 where no step and no sink needs more: faster for large
    photographs, and scores change a little."""
    checkpoint_interval_ms: int = 10_000
    """Time between checkpoints of a Flink job."""
    restart_attempts: int = 0
    """How often a failed Flink job goes on from its last checkpoint before it fails for good."""
    web_ui_port: int | None = None
    """Port of Flink's web page and REST on the loopback address; None takes any free one."""

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be."""
        if self.runner not in ("flink", "inline"):
            raise PipelineError(f"`runner` is 'flink' or 'inline'; got {self.runner!r}")
        for name in ("workers", "batch_size", "max_pixels", "checkpoint_interval_ms"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise PipelineError(f"`{name}` is from 1; got {value}")
        if self.web_ui_port is not None and not 1 <= self.web_ui_port <= 65_535:
            raise PipelineError(f"`web_ui_port` is from 1 to 65535; got {self.web_ui_port}")
        if self.restart_attempts < 0:
            raise PipelineError(f"`restart_attempts` is from 0; got {self.restart_attempts}")
