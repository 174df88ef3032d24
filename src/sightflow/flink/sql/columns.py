"""Columns of SQL, derived from the Arrow schema of results."""

from collections.abc import Iterator, Mapping

import pyarrow as pa

__all__ = ["columns_of", "quoted", "sql_type", "text"]

_PLAIN: Mapping[pa.DataType, str] = {
    pa.string(): "STRING",
    pa.int64(): "BIGINT",
    pa.int32(): "INT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.binary(): "BYTES",
}


def sql_type(type_: pa.DataType) -> str:
    """Return the type of Flink SQL that holds what an Arrow type holds.

    Raises:
        TypeError: there is none in this table.

    Examples:
        >>> sql_type(pa.list_(pa.struct([pa.field("label", pa.string())])))
        'ARRAY<ROW<`label` STRING>>'
    """
    if type_ in _PLAIN:
        return _PLAIN[type_]
    if pa.types.is_list(type_):
        return f"ARRAY<{sql_type(type_.value_type)}>"
    if pa.types.is_map(type_):
        return f"MAP<{sql_type(type_.key_type)}, {sql_type(type_.item_type)}>"
    if pa.types.is_struct(type_):
        return f"ROW<{', '.join(f'{quoted(f.name)} {sql_type(f.type)}' for f in type_)}>"
    raise TypeError(f"no type of SQL stands for {type_}; add it to `flink/sql/columns.py`")


def columns_of(schema: pa.Schema) -> Iterator[str]:
    """Yield the columns of a schema as `CREATE TABLE` wants them.

    Examples:
        >>> list(columns_of(pa.schema([pa.field("uri", pa.string(), nullable=False)])))
        ['`uri` STRING NOT NULL']
    """
    for field in schema:
        yield f"{quoted(field.name)} {sql_type(field.type)}{'' if field.nullable else ' NOT NULL'}"


def quoted(name: str) -> str:
    """Return a name as SQL has it, also one that is a word of SQL.

    Examples:
        >>> quoted("zone")
        '`zone`'
    """
    return "`" + name.replace("`", "``") + "`"


def text(value: str) -> str:
    """Return a text as a literal of SQL.

    Examples:
        >>> text("it's")
        "'it''s'"
    """
    return "'" + value.replace("'", "''") + "'"
