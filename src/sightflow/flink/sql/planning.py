"""Statements handed to Flink's planner, in a thread of Java that can plan."""

from typing import Any

from pyflink.java_gateway import get_gateway
from pyflink.table import EnvironmentSettings, TableEnvironment

__all__ = ["execute", "planned"]

_PREPARED: set[tuple[int, str]] = set()
"""Threads of Java that can plan: number of the gateway, and name."""


def execute(table_env: TableEnvironment, statement: str) -> Any:
    """Execute a statement; return what PyFlink returns."""
    return planned(table_env.execute_sql, statement)


def planned(call: Any, *arguments: Any) -> Any:
    """Call what plans a statement, in a thread that can.

    Each connection to Java has a thread there, and Python takes the connection that was free last.
    What ran in between, such as a pipeline, may have left another one in front. In a thread in
    which no planner was ever made, planning fails, and that planner is broken for good.
    """
    gateway = get_gateway()
    thread = id(gateway), gateway.jvm.java.lang.Thread.currentThread().getName()
    if thread not in _PREPARED:
        TableEnvironment.create(EnvironmentSettings.in_batch_mode())
        _PREPARED.add(thread)
    return call(*arguments)
