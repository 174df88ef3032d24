"""Metrics: how good results are, held against a truth. `update`, `compute`, `reset`."""
