"""Checks of tables that steps look things up in."""

from collections.abc import Mapping

from sightflow.protocols import Table, TableSource
from sightflow.records import TableUpdate
from sightflow.testing.builders import a_context
from sightflow.testing.descriptions import sent

__all__ = ["check_table"]

_PATIENCE = 10_000
"""How often a table is asked before it is caught up."""


def check_table(source: TableSource) -> list[TableUpdate]:
    """Raise AssertionError unless a table keeps the promises of `protocols.TableSource`.

    Args:
        source: of at least two updates that are there already, and to which nothing comes.

    Returns:
        The updates.
    """
    assert sent(source) == source, f"{source!r} must survive pickling"
    source.check()
    positions, found = _read(source, None, {})
    assert len(found) > 1, f"a check needs two updates or more; {source!r} gives {len(found)}"
    _check_updates(found)
    rows: dict[str, bytes] = {}
    for position, i in zip(positions, range(1, len(found) + 1), strict=True):
        for key, row in found[i - 1].rows.items():
            rows.pop(key, None)
            rows.update({} if row is None else {key: row})
        behind = [_content(update) for update in _read(source, position, rows)[1]]
        expected = [_content(update) for update in found[i:]]
        assert behind == expected, f"from its position {position!r} it goes on behind update {i}"
    _check_table(source.open_table(), found)
    return found


def _read(
    source: TableSource, position: str | None, rows: Mapping[str, bytes]
) -> tuple[list[str], list[TableUpdate]]:
    """Return all updates that are there, and the position behind each."""
    context = a_context("tables")
    positions, found = list[str](), list[TableUpdate]()
    with context.resources:
        stream = sent(source).open_updates(context, position, rows)
        for _ in range(_PATIENCE):
            update = stream.poll(0.01)
            if update is not None:
                found.append(update)
                positions.append(stream.position())
            elif stream.is_caught_up():
                return positions, found
    raise AssertionError(f"{source!r} is not caught up after {_PATIENCE} calls of `poll`")


def _check_updates(found: list[TableUpdate]) -> None:
    versions = [update.version for update in found]
    assert versions == sorted(set(versions)), f"versions count up; got {versions[:9]}"
    rows = [(key, row) for update in found for key, row in update.rows.items()]
    assert any(row is not None for _, row in rows), "it has no rows, so nothing was checked"
    for key, row in rows:
        assert isinstance(key, str), f"keys are texts; got {key!r}"
        assert row is None or isinstance(row, bytes), f"rows are bytes or None; got {row!r}"


def _content(update: TableUpdate) -> tuple[int, dict[str, bytes | None]]:
    """Return what a restart must give again; what is news may be none then."""
    return update.version, dict(update.rows)


def _check_table(table: Table, found: list[TableUpdate]) -> None:
    """Raise AssertionError unless a table takes what its source gives, also rows that go."""
    for update in found:
        table.update(update)
    gone = {key: None for update in found for key in update.rows}
    table.update(TableUpdate(found[-1].version + 1, gone))
    table.update(TableUpdate(found[-1].version + 2, gone))  # what is not there may go
