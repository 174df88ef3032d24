"""The rows of a query, brought from Java many at a time."""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyflink.common import Row, RowKind
from pyflink.java_gateway import get_gateway
from pyflink.table import TableResult
from pyflink.table.types import DataType
from pyflink.table.utils import pickled_bytes_to_python_converter

__all__ = ["fetched"]

_AT_MOST = 500
_FOR_MS = 100


@contextmanager
def fetched(result: TableResult, *, one_by_one: bool) -> Iterator[Iterator[Row]]:
    """Give the rows of a result while they come; its job ends with the block.

    Args:
        result: of a query.
        one_by_one: whether each is given as soon as it is there, also where none follows for long.
    """
    with result.collect() as rows:
        yield iter(rows) if one_by_one else _in_bulk(rows)


def _in_bulk(rows: Any) -> Iterator[Row]:
    """Yield what `CloseableIterator` of PyFlink yields, with one call of Java for many rows."""
    take = get_gateway().jvm.ai.sightflow.flink.Rows.take
    in_java, types = rows._j_closeable_iterator, rows._j_field_data_types
    while in_java.hasNext():
        for kind, *values in pickle.loads(take(in_java, types, _AT_MOST, _FOR_MS)):
            fields = zip(values, rows._data_types, strict=True)
            row = Row(*(_value(value, type_) for value, type_ in fields))
            row.set_row_kind(RowKind(kind[0]))
            yield row


def _value(value: Any, type_: DataType) -> Any:
    """Return a value as PyFlink does; one that is empty is NULL."""
    return pickled_bytes_to_python_converter(value, type_) if len(value) else None
