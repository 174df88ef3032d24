"""Metrics of a worker in Flink's own: on its page, over REST, and in every reporter it has."""

from dataclasses import asdict
from math import isfinite
from typing import Any

from pyflink.datastream import RuntimeContext

from sightflow.records.ledger import Ledger

__all__ = ["FlinkLedger", "FlinkMetrics"]

_WINDOW = 1_000
"""Values that a distribution is made of: the latest ones."""


class FlinkMetrics:
    """Counters, distributions and measures in the group `sightflow` of an operator."""

    def __init__(self, group: Any) -> None:
        """Take the group."""
        from pemja import findClass  # only there inside the Java process

        self._group = group
        self._histogram = findClass(
            "org.apache.flink.runtime.metrics.DescriptiveStatisticsHistogram"
        )
        self._counters: dict[str, Any] = {}
        self._distributions: dict[str, Any] = {}
        self._gauges: dict[str, Any] = {}

    @classmethod
    def of(cls, runtime_context: RuntimeContext) -> "FlinkMetrics":
        """Return the metrics of an operator in thread mode, by its context."""
        return cls(runtime_context.get_metrics_group().add_group("sightflow"))

    def count(self, name: str, n: int = 1, /) -> None:
        """Add to a counter."""
        if name not in self._counters:
            self._counters[name] = self._group.counter(name)
        self._counters[name].inc(n)

    def observe(self, name: str, value: float, /) -> None:
        """Add a value to a distribution; Flink keeps whole numbers, so times are in microseconds.

        A name in `_ms` is therefore shown as one in `_us`.
        """
        if name not in self._distributions:
            shown = f"{name.removesuffix('_ms')}_us" if name.endswith("_ms") else name
            histogram = self._group._metrics.histogram(shown, self._histogram(_WINDOW))
            self._distributions[name] = (histogram, 1_000 if shown != name else 1)
        histogram, factor = self._distributions[name]
        histogram.update(int(value * factor))

    def measure(self, name: str, value: float, /) -> None:
        """Say how large something is now; Flink keeps whole numbers, so in millionths.

        A name such as `loss` is therefore shown as `loss_millionths`.
        """
        if isfinite(value):
            self._gauge(f"{name}_millionths").update(round(value * 1e6))

    def at(self, **labels: str) -> "FlinkMetrics":
        """Return metrics that have these labels as well; a group for each, in this order."""
        group = self._group
        for name, value in labels.items():
            group = group.add_group(name, value)
        return FlinkMetrics(group)

    def show(self, name: str, value: int, /) -> None:
        """Say what a whole number is now, under this very name."""
        self._gauge(name).update(value)

    def close(self) -> None:
        """Take away all that was shown with these labels."""
        self._group._metrics.close()

    def _gauge(self, name: str) -> Any:
        """Return a gauge, which PyFlink calls a distribution: the last value is kept, no other."""
        if name not in self._gauges:
            self._gauges[name] = self._group.distribution(name)
        return self._gauges[name]


class FlinkLedger:
    """The ledger of a job for those who see it only through Flink.

    Its figures are metrics, for every reporter, and accumulators, which stay when the job has
    ended: both are named `read`, `recognised`, `rejected`, `skipped`.
    """

    def __init__(self, runtime_context: RuntimeContext) -> None:
        """Take the context of an operator in thread mode."""
        from pemja import findClass  # only there inside the Java process

        self._metrics = FlinkMetrics.of(runtime_context)
        self._shown = Ledger()
        for name in asdict(self._shown):
            self._metrics.count(name, 0)  # a rate is of what is there from the start
        kind = findClass("org.apache.flink.api.common.accumulators.LongCounter")
        self._sums = {name: kind() for name in asdict(self._shown)}
        for name, counter in self._sums.items():
            runtime_context._runtime_context.addAccumulator(f"sightflow.{name}", counter)

    def show(self, ledger: Ledger) -> None:
        """Show the figures as they are now."""
        before = asdict(self._shown)
        for name, value in asdict(ledger).items():
            if value != before[name]:
                self._metrics.count(name, value - before[name])
                self._sums[name].add(value - before[name])
        self._shown = ledger
