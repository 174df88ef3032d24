"""How a pipeline is run: the one place of all defaults."""

import os
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from sightflow.errors import PipelineError
from sightflow.ops.decode import MAX_PIXELS
from sightflow.options import check_choices, check_count, check_number
from sightflow.protocols import Inference

__all__ = ["ClusterSettings", "RunSettings", "n_cores"]

_COUNTS = ("workers", "batch_size", "threads", "max_batch", "max_pixels", "checkpoint_interval_ms")


def n_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def _is_http(url: str) -> bool:
    """Return whether a text is a URL of HTTP, with a host and, where it names one, a port."""
    try:
        has_place = bool(urlsplit(url).hostname) and urlsplit(url).port != 0
    except ValueError:  # a port, or an address of IPv6, that is none
        return False
    return has_place and re.fullmatch(r"https?://\S+", url) is not None


@dataclass(frozen=True)
class RunSettings:
    """How a pipeline is run: where, how fast, how safely.

    The results do not depend on it, except where a field says so.
    """

    runner: Literal["flink", "inline"] = "flink"
    """`flink`, or `inline`: in this process, in plain Python."""
    workers: int | None = None
    """Flink's parallelism; None takes one for each core."""
    batch_size: int = 4
    """Images that a worker puts into one call of a model; on a CPU more does not pay."""
    device: str = "auto"
    """What models run on: `cpu`, `cuda`, `tensorrt`, with `:N` for a certain GPU; `auto` takes a
    GPU that works, else the CPU."""
    threads: int | None = None
    """Threads inside one call of a model on a CPU; None shares the cores among the workers."""
    max_batch: int = 32
    """Images in one call that serves several workers, where calls are merged: on a GPU."""
    max_wait_ms: float | None = None
    """How long a call of a model waits for the pictures of other workers, in ms, to take them all
    at once; also on a CPU. None: it does not wait."""
    ordered: bool = True
    """Results come out in the order of the images; otherwise as soon as each is there."""
    max_pixels: int = MAX_PIXELS
    """Limit for width x height; larger images are rejected before they are decoded."""
    reduced_decode: bool = False
    """Decode a JPEG at 1/2, 1/4 or 1/8 where no step and no sink needs more: faster for large
    photographs, and scores change a little."""
    checkpoint_interval_ms: int = 10_000
    """Time between checkpoints of a Flink job."""
    restart_attempts: int = 0
    """How often a failed Flink job goes on from its last checkpoint before it fails for good."""
    state_dir: str | None = None
    """Folder for the checkpoints of a Flink job. A job that died or was stopped goes on from the
    last one when it is run again, with another number of workers too; None: it starts anew."""
    upgrade: bool = False
    """Whether a job may go on from `state_dir` with another pipeline than before."""
    drop_state: tuple[str, ...] = ()
    """Names of steps and sinks that are gone or of another kind, whose state may then be lost."""
    view_dir: str | None = None
    """Folder in which the run shows how it goes while it goes on: what a page for people reads. Of
    use on one machine only; None: it does not."""
    web_ui_port: int | None = None
    """Port of Flink's web page and REST on the loopback address; None takes any free one."""
    metrics_port: int | None = None
    """Port of the loopback address on which Prometheus finds the metrics of a Flink job while it
    runs; None: nothing listens."""
    otlp_url: str | None = None
    """Where the metrics of a Flink job go by OTLP over HTTP, such as `http://127.0.0.1:4318`."""

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be."""
        check_choices(self)
        if not re.fullmatch(r"auto|cpu|(cuda|tensorrt)(:\d+)?", self.device):
            raise PipelineError(
                "RunSettings: `device` is auto, cpu, cuda, cuda:N, tensorrt or tensorrt:N; "
                f"got {self.device!r}"
            )
        if self.runner == "inline" and self.state_dir is not None:
            raise PipelineError(
                "RunSettings: `state_dir` needs the runner flink: inline keeps no checkpoints"
            )
        if self.upgrade and self.state_dir is None:
            raise PipelineError("RunSettings: `upgrade` goes on from a `state_dir`; name it")
        if self.drop_state and not self.upgrade:
            raise PipelineError("RunSettings: `drop_state` goes with `upgrade`; allow it too")
        check_count(self, *_COUNTS, at_least=1)
        check_count(self, "web_ui_port", "metrics_port", at_least=1, at_most=65_535)
        self._check_reporting()
        check_count(self, "restart_attempts")
        check_number(self, "max_wait_ms", within="[0, inf)")

    def _check_reporting(self) -> None:
        """Refuse metrics that nobody would report, and a place that is none."""
        for name in ("metrics_port", "otlp_url"):
            if self.runner == "inline" and getattr(self, name) is not None:
                raise PipelineError(
                    f"RunSettings: `{name}` needs the runner flink: inline reports no metrics"
                )
        if self.metrics_port is not None and self.metrics_port == self.web_ui_port:
            raise PipelineError(
                "RunSettings: `metrics_port` and `web_ui_port` are two ports; "
                f"got {self.metrics_port} for both"
            )
        if self.otlp_url is not None and not _is_http(self.otlp_url):
            raise PipelineError(
                "RunSettings: `otlp_url` is the URL of a receiver of OTLP over HTTP, such as "
                f"http://127.0.0.1:4318; got {self.otlp_url!r}"
            )

    @property
    def n_workers(self) -> int:
        """How many workers run in parallel: as asked, or one for each core."""
        return self.workers or n_cores()

    def inference(self, n_workers: int) -> Inference:
        """Return how models are run when `n_workers` share this machine.

        Workers share the pool of a model and each brings a thread of its own: together one for
        each core. Calls that wait for each other are made one at a time, by all cores.
        """
        n_alone = 1 if self.max_wait_ms is not None else n_workers
        return Inference(
            device=self.device,
            n_threads=self.threads or max(1, n_cores() - n_alone + 1),
            max_batch=self.max_batch,
            max_wait_ms=self.max_wait_ms,
        )


@dataclass(frozen=True)
class ClusterSettings:
    """Where a job is submitted to, and what goes along."""

    rest_url: str
    """REST of the cluster, `http://HOST:PORT`."""
    from_savepoint: str | None = None
    """URL of the savepoint or checkpoint that the job goes on from; None: it starts anew."""
    upgrade: bool = False
    """Whether a job may go on from `from_savepoint` with another pipeline than before."""
    drop_state: tuple[str, ...] = ()
    """Names of steps and sinks that are gone or of another kind, whose state may then be lost."""
    env: str = "none"
    """What of Python is sent: `none`, TaskManagers have Sightflow installed; `auto`, Sightflow and
    what it requires as installed here, beside what Flink requires; or a .zip file of packages."""
    packages: tuple[str, ...] = ()
    """Folders of packages, and .py files, of your own that the pipeline needs; they are sent."""
    shared: tuple[str, ...] = ()
    """Folders that all machines have in the same place; the pipeline may name paths below them."""
    state_dir: str | None = None
    """URL of the folder for checkpoints and savepoints; None takes that of the cluster."""
    python: str = "python3"
    """What TaskManagers run Python with."""
    wait_for_slots: bool = False
    """Submit where too few slots are free: the cluster starts TaskManagers, or others will end."""

    def __post_init__(self) -> None:
        """Refuse a folder for state that is no URL, and what goes with another option."""
        for name in ("state_dir", "from_savepoint"):
            place = getattr(self, name)
            if place is not None and "://" not in place and not place.startswith("file:/"):
                raise PipelineError(
                    f"ClusterSettings: `{name}` is a URL that the cluster can reach, such as "
                    f"s3://bucket/state or file:///mnt/state; got {place!r}"
                )
        if self.upgrade and self.from_savepoint is None:
            raise PipelineError("ClusterSettings: `upgrade` goes with `from_savepoint`; name it")
        if self.drop_state and not self.upgrade:
            raise PipelineError("ClusterSettings: `drop_state` goes with `upgrade`; allow it too")
