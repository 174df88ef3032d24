"""Metrics: how good results are, held against a truth. `update`, `merge`, `compute`, `reset`."""

from sightflow.metrics.tracking import TrackingMetrics, TrackingScores

__all__ = ["TrackingMetrics", "TrackingScores"]
