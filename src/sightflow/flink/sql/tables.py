"""Tables for queries: pictures, and the results of runs in files, folders and topics."""

import os
import tempfile
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path

from pyflink.table import TableEnvironment

from sightflow.flink.gateway import log_directory
from sightflow.flink.jars import KAFKA, find_jar
from sightflow.flink.sql.ddl import VIEWS, Kind, create_table, create_views
from sightflow.flink.sql.looking import place_of
from sightflow.flink.sql.planning import execute
from sightflow.flink.sql.stored import parts_of, readable
from sightflow.records import to_json
from sightflow.records.schema import plain_text
from sightflow.sources.directory import Directory

__all__ = ["LIST", "add_pictures", "add_table", "add_topic"]

LIST = "list of "
"""Begins the name of the table behind one of pictures."""
_PART = 64
"""Pictures in one file of the list: workers take file by file."""
_MONITOR = "1 s"
"""How often a folder that grows is looked at."""


def add_pictures(table_env: TableEnvironment, source: Directory, *, name: str = "pictures") -> int:
    """Add a table of the pictures of a source, with its `data`, the bytes.

    The list is made now. The bytes are read in the workers, where a query asks for them;
    the functions must be registered.

    Returns:
        How many pictures there are.

    Raises:
        SourceError: nothing is there, or it cannot be listed.
    """
    folder, n_pictures = _new_folder(name), 0
    rows = (
        {
            "uri": plain_text(claim.origin.uri),
            "source_id": plain_text(claim.origin.source_id),
            "name": plain_text(claim.origin.name),
            "sequence": claim.origin.sequence,
            "event_time_ms": claim.origin.event_time_ms,
            "place": place_of(claim.origin.uri),
        }
        for claim in source.claims()
    )
    while part := list(islice(rows, _PART)):
        n_pictures += len(part)
        path = folder / f"part-{n_pictures:09d}.jsonl"
        path.write_bytes(b"".join(to_json(row) + b"\n" for row in part))
    listed = f"{LIST}{name}"
    execute(table_env, create_table(listed, "pictures", _files(folder)))
    execute(
        table_env,
        f"CREATE TEMPORARY VIEW `{name}` AS SELECT `uri`, `source_id`, `name`, `sequence`, "
        f"`event_time_ms`, `event_time`, READ_IMAGE(`place`) AS `data` FROM `{listed}`",
    )
    return n_pictures


def add_table(
    table_env: TableEnvironment,
    name: str,
    path: str,
    kind: Kind | None = None,
    *,
    follow: bool = False,
) -> tuple[str, ...]:
    """Add a table of what runs have written: JSON lines, Parquet, or a folder of `Dataset`.

    Args:
        table_env: where to.
        name: of the table; a folder of `Dataset` becomes one table for each kind, `results` by this
            name and the others by theirs.
        path: file or folder, or a URL of fsspec.
        kind: what is in it; None finds out.
        follow: in streaming mode, read parts that appear later as well; a folder of JSON lines.

    Returns:
        The names of the tables and views that are there now.

    Raises:
        SourceError: there is no such thing, or it holds something else.
    """
    names: list[str] = []
    for part in parts_of(path, kind, follow=follow):
        own = name if part.kind in (kind, "results") or not part.is_in_folder else part.kind
        place = readable(part, _new_folder(own), follow=follow)
        options = _files(place)
        if follow and place.is_dir():
            options["source.monitor-interval"] = _MONITOR
        names += _add(table_env, own, part.kind, options)
    return tuple(names)


def add_topic(
    table_env: TableEnvironment,
    name: str,
    kind: Kind,
    servers: str,
    topic: str,
    properties: Mapping[str, str] | None = None,
    *,
    follow: bool = False,
) -> tuple[str, ...]:
    """Add a table of what `KafkaEvents` sends to a topic, once it is committed.

    Args:
        table_env: where to.
        name: of the table.
        kind: what the topic holds.
        servers: addresses of brokers.
        topic: of Kafka.
        properties: more of them for the client in Java.
        follow: read what comes later as well; else up to what is there when the query begins.

    Returns:
        The names of the tables and views that are there now.

    Raises:
        SetupError: the connector cannot be fetched.
    """
    jars = table_env.get_config().get("pipeline.jars", "")
    jar = find_jar(KAFKA).as_uri()
    if jar not in jars:
        table_env.get_config().set("pipeline.jars", ";".join(filter(None, (jars, jar))))
    bounds = {} if follow else {"scan.bounded.mode": "latest-offset"}
    more = {"isolation.level": "read_committed", **(properties or {})}
    options = {
        "connector": "kafka",
        "properties.bootstrap.servers": servers,
        "topic": topic,
        "scan.startup.mode": "earliest-offset",
        "format": "json",
        **bounds,
        **{f"properties.{key}": value for key, value in more.items()},
    }
    return tuple(_add(table_env, name, kind, options))


def _add(
    table_env: TableEnvironment, name: str, kind: Kind, options: Mapping[str, str]
) -> Iterable[str]:
    """Make a table, and the views over it where it has results; return their names."""
    execute(table_env, create_table(name, kind, options))
    if kind != "results":
        return [name]
    prefix = "" if name == "results" else f"{name}_"
    for statement in create_views(name, prefix):
        execute(table_env, statement)
    return [name, *(prefix + view for view in VIEWS)]


def _files(place: Path) -> dict[str, str]:
    return {"connector": "filesystem", "path": f"file://{place}", "format": "json"}


def _new_folder(name: str) -> Path:
    """Return an empty folder that goes when this process ends."""
    safe = "".join(c if c.isascii() and c.isalnum() else "-" for c in name)
    return Path(tempfile.mkdtemp(prefix=f"sql-{safe}-", dir=os.path.realpath(log_directory())))
