"""A session of SQL on embedded Flink: tables, functions, statements, and the rows that come out."""

import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JError, Py4JJavaError
from pyflink.common import Configuration
from pyflink.table import DataTypes, EnvironmentSettings, Table, TableEnvironment, TableResult
from pyflink.table.expressions import col
from pyflink.table.types import ArrayType, LocalZonedTimestampType, MapType, RowType

from sightflow.errors import JobError
from sightflow.flink.gateway import end_lost, log_directory, start_gateway
from sightflow.flink.sql.columns import quoted
from sightflow.flink.sql.fetching import fetched
from sightflow.flink.sql.planning import execute, planned
from sightflow.flink.sql.problems import problem_with
from sightflow.flink.sql.registering import FUNCTIONS
from sightflow.flink.sql.statements import Statement
from sightflow.flink.sql.tables import LIST
from sightflow.settings import RunSettings

__all__ = ["Answer", "Session", "open_environment"]

_SLOTS, _SLOT_MB = 4, 64
"""Slots for each worker: joins have parts that run beside each other; and the memory of one, in
MiB, of which what sorts and joins takes only what it needs."""
_CHANGE = "op"
"""Name of the column that says what becomes of a row, where rows change."""


def open_environment(
    settings: RunSettings | None = None, *, follow: bool = False
) -> TableEnvironment:
    """Return a table environment on embedded Flink; Java is started where it is not up.

    Times are UTC.

    Args:
        settings: how many work, and the port of Flink's page.
        follow: streaming mode: queries go on as long as rows come; else batch mode.

    Raises:
        SetupError: Java is missing or does not start.
    """
    settings = settings or RunSettings()
    start_gateway()
    configuration = Configuration()
    for key, value in _options(settings).items():
        configuration.set_string(key, value)
    how = EnvironmentSettings.new_instance().with_configuration(configuration)
    mode = how.in_streaming_mode() if follow else how.in_batch_mode()
    return TableEnvironment.create(mode.build())


def _options(settings: RunSettings) -> Mapping[str, str]:
    return {
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "parallelism.default": str(settings.n_workers),
        "restart-strategy.type": "none",
        # Rows come while the query runs; the other scheduler of batch jobs cannot do that.
        "execution.batch-shuffle-mode": "ALL_EXCHANGES_PIPELINED",
        "jobmanager.scheduler": "Default",
        "taskmanager.numberOfTaskSlots": str(_SLOTS * settings.n_workers),
        "taskmanager.memory.managed.size": f"{_SLOTS * settings.n_workers * _SLOT_MB}m",
        "table.local-time-zone": "UTC",
        "io.tmp.dirs": str(log_directory()),
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.bind-port": str(settings.web_ui_port or 0),
    }


@dataclass(frozen=True)
class Answer:
    """What a statement gives: rows, while they come."""

    columns: tuple[str, ...]
    rows: Generator[tuple[Any, ...], None, None]
    """Plain values; a ROW is a dict."""
    has_rows: bool = True
    """Whether it tells something: a query or `SHOW` does, `CREATE` and `INSERT` do not."""


class Session:
    """Runs statements in a table environment."""

    def __init__(self, table_env: TableEnvironment, *, follow: bool = False) -> None:
        """Take the environment; with `follow` rows say first what becomes of them."""
        self._env = table_env
        self._follow = follow

    def run(self, statement: Statement) -> Answer:
        """Run a statement.

        Of a query in streaming mode the first column, `op`, is `+I` of a row that is new, `-U` and
        `+U` of one before and after it changed, and `-D` of one that is gone.

        Raises:
            SqlError: it is not what it must be.
            JobError: it failed; also while its rows are taken.
        """
        is_query = statement.is_query
        with self._told(statement):
            result = planned(self._query if is_query else self._env.execute_sql, statement.text)
        fields = result.get_table_schema().to_row_data_type().fields
        types = {field.name: field.data_type for field in fields}
        marked = is_query and self._follow
        columns = (_CHANGE, *types) if marked else tuple(types)
        rows = self._rows(result, statement, list(types.values()), marked=marked)
        return Answer(columns, rows, is_query or statement.shows)

    def explain(self, statement: Statement) -> str:
        """Return how Flink would run a query.

        Raises:
            SqlError: it is not what it must be.
        """
        with self._told(statement):
            return str(planned(self._env.explain_sql, statement.text))

    def known(self) -> Iterator[tuple[str, str, str]]:
        """Yield all that a query may name: the columns of tables, and functions."""
        yield from self.tables()
        for name, (arguments, result) in FUNCTIONS.items():
            yield "function", name, f"({', '.join(arguments)}) -> {result}"

    def tables(self) -> Iterator[tuple[str, str, str]]:
        """Yield each column of all tables: the name of its table, its own, its type."""
        for table in self._env.list_tables():
            if table.startswith(LIST):
                continue
            described = execute(self._env, f"DESCRIBE {quoted(table)}")
            with described.collect() as rows:
                for row in rows:
                    yield table, row[0], row[1]

    def _query(self, text: str) -> TableResult:
        """Execute a query; times with a zone, which Python cannot take, come as those of UTC."""
        table = self._env.sql_query(text)
        fields = table.get_schema().to_row_data_type().fields
        zoned = [field.name for field in fields if _is_zoned(field.data_type)]
        return (_without_zones(table, zoned) if zoned else table).execute()

    def _rows(
        self, result: TableResult, statement: Statement, types: Sequence[Any], *, marked: bool
    ) -> Generator[tuple[Any, ...], None, None]:
        """Yield the rows of a result; the job of one who stops taking them ends."""
        with self._told(statement), fetched(result, one_by_one=self._follow) as rows:
            for row in rows:
                values = tuple(map(_plain, row, types))
                yield (str(row.get_row_kind()), *values) if marked else values

    def _names(self) -> Iterator[str]:
        yield from FUNCTIONS
        for table, column, _ in self.tables():
            yield table
            yield column

    @contextmanager
    def _told(self, statement: Statement) -> Iterator[None]:
        """Make what Java says into an error for people."""
        try:
            yield
        except Py4JJavaError as error:
            raise self._problem(str(error), statement) from None
        except Py4JError as error:
            end_lost()
            raise JobError("the Java process that ran the query is gone") from error
        except Exception as error:
            if not type(error).__module__.startswith("pyflink"):
                raise
            raise self._problem(str(error), statement) from None

    def _problem(self, said: str, statement: Statement) -> Exception:
        names = dict.fromkeys(self._names())
        return problem_with(said, statement.text, statement.line, list(names))


def _is_zoned(type_: Any) -> bool:
    return isinstance(type_, LocalZonedTimestampType)


def _without_zones(table: Table, zoned: list[str]) -> Table:
    """Return a table whose times are those of the session, which is at UTC."""
    plain = DataTypes.TIMESTAMP(3)
    names = table.get_schema().get_field_names()
    chosen = [col(n).cast(plain).alias(n) if n in zoned else col(n) for n in names]
    return table.select(*chosen)


def _plain(value: Any, type_: Any) -> Any:
    """Return a value of PyFlink as plain Python: a ROW as a dict."""
    if value is None:
        return None
    if isinstance(type_, RowType):
        return {f.name: _plain(v, f.data_type) for f, v in zip(type_.fields, value, strict=True)}
    if isinstance(type_, ArrayType):
        return [_plain(item, type_.element_type) for item in value]
    if isinstance(type_, MapType):
        return {key: _plain(item, type_.value_type) for key, item in value.items()}
    return bytes(value) if isinstance(value, bytearray) else value
