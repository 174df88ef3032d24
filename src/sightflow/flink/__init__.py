"""The Flink runner: the only room that knows Apache Flink."""

import warnings

with warnings.catch_warnings():  # Beam's dependencies announce future plans
    warnings.simplefilter("ignore")
    import pyflink.datastream  # noqa: F401
