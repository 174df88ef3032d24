"""The command that asks in SQL: over pictures, and over the results of runs."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from sightflow.cli.answers import FORMATS, write_rows
from sightflow.cli.fields import FieldOption, given
from sightflow.cli.options import model_option, overwrite_option, workers_option

if TYPE_CHECKING:
    from sightflow.flink.sql import Session
    from sightflow.flink.sql.statements import Statement
    from sightflow.settings import RunSettings

__all__ = ["sql"]

_WRITTEN = ("results", "events", "rejected")
_CLASSIFY = "sightflow.tasks.classify:Classify"
_DETECT = "sightflow.tasks.detect:Detect"
_TOPIC = "kafka://"


def _table_option(name: str, what: str) -> Callable[..., Any]:
    return click.option(
        f"--{name}", metavar="PATH", help=f"{what}: .jsonl, .parquet, Dataset, kafka://HOST/TOPIC."
    )


@click.command()
@click.argument("query", required=False)
@click.option("--pictures", multiple=True, metavar="PATH", help="Table `pictures`; repeatable.")
@click.option("--pattern", default="*", help="Which files of a folder, such as '*.jpg'.")
@_table_option("results", "Table `results`, and views")
@_table_option("events", "Table `events`")
@_table_option("rejected", "Table `rejected`")
@click.option("--table", multiple=True, metavar="NAME=PATH", help="Another one; repeatable.")
@click.option("--follow", is_flag=True, help="Go on while rows come, until Ctrl-C.")
@click.option("--format", type=click.Choice([*FORMATS]), help="[table; else jsonl]")
@click.option("--out", type=click.Path(dir_okay=False), help="File for the rows, .jsonl or .csv.")
@click.option("--explain", is_flag=True, help="Only say how Flink would run the query.")
@click.option("--tables", is_flag=True, help="Only list tables, columns, functions.")
@model_option(_CLASSIFY, "classifier", "Model of CLASSIFY_IMAGE.", field="model")
@click.option("--top-k", cls=FieldOption, field=f"{_CLASSIFY}.top_k", type=click.IntRange(1))
@model_option(_DETECT, "detector", "Model of DETECT_OBJECTS.", field="model")
@click.option(
    "--min-score",
    cls=FieldOption,
    field=f"{_DETECT}.min_score",
    type=click.FloatRange(0, 1),
    help="Objects that score less are left out.",
)
@workers_option("one a core")
@click.option("--device", help="cpu, cuda, cuda:N, tensorrt [a GPU that works, else cpu].")
@overwrite_option
def sql(query: str | None, **options: Any) -> None:
    """Ask in SQL: over pictures, and over the results of runs.

    QUERY is one statement or several, or a file .sql with them.

    \b
    sightflow sql --results results.jsonl "SELECT label, COUNT(*) FROM detections GROUP BY label"
    sightflow sql --pictures photos/ "SELECT uri, CLASSIFY_IMAGE(data).label FROM pictures"
    """  # noqa: D301 - click wants a backspace before lines to leave as they are
    text = _text_of(query, options)
    from sightflow.flink.gateway import start_in_background

    start_in_background()
    from sightflow.cli import console
    from sightflow.flink.sql.statements import statements_of

    statements = list(statements_of(text))
    _check(statements, options)
    with console.without_native_noise() as stderr, console.notes(stderr=stderr):
        session = _open(options, stderr)
        if options["tables"]:
            form = options["format"] or "table"
            write_rows(("of", "name", "type"), session.known(), sys.stdout, form, at_once=False)
            return
        for statement in statements:
            if options["explain"] and statement.is_query:
                print(session.explain(statement))
            else:
                _answer(session, statement, options)


def _text_of(query: str | None, options: dict[str, Any]) -> str:
    """Return the statements of a call: the argument, or what is in the file that it names."""
    if query is None:
        if not options["tables"]:
            raise click.UsageError("give a QUERY, or --tables, which lists what may be asked for")
        return ""
    if not query.lower().endswith(".sql"):
        return query
    try:
        return Path(query).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{query}: cannot be read: {error}") from error


def _check(statements: "Sequence[Statement]", options: dict[str, Any]) -> None:
    """Refuse calls that cannot be meant."""
    n_queries = sum(statement.is_query for statement in statements)
    if not statements and not options["tables"]:
        raise click.UsageError("QUERY has no statement")
    if options["out"]:
        ending = options["out"].rpartition(".")[2]
        if ending not in ("jsonl", "csv"):
            raise click.UsageError(f"--out {options['out']}: the ending must be .jsonl or .csv")
        if options["format"] not in (None, ending):
            raise click.UsageError(f"--format {options['format']} and --out ...{ending} disagree")
        if n_queries != 1:
            raise click.UsageError(f"--out takes the rows of one query; got {n_queries}")
        if Path(options["out"]).exists() and not options["overwrite"]:
            raise click.UsageError(f"--out {options['out']}: exists already; add --overwrite")


def _open(options: dict[str, Any], stderr: IO[str]) -> "Session":
    """Return a session with the functions and the tables of a call."""
    from sightflow.flink.sql import Session, add_pictures, open_environment, register
    from sightflow.sources.directory import Directory

    settings, follow = _settings(options), options["follow"]
    steps = _steps(options)
    env = open_environment(settings, follow=follow)
    register(env, **steps, settings=settings)
    if options["pictures"]:
        source = Directory(tuple(options["pictures"]), pattern=options["pattern"])
        if not add_pictures(env, source):
            print("sightflow: no pictures are there", file=stderr)
    there: set[str] = set()
    for name, path, kind in _named(options):
        if name not in there:
            there.update(_add(env, name, path, kind, follow=follow))
    return Session(env, follow=follow)


def _settings(options: dict[str, Any]) -> "RunSettings":
    from sightflow.settings import RunSettings

    return RunSettings(**given(options, "workers", "device"))


def _steps(options: dict[str, Any]) -> dict[str, Any]:
    """Return the steps of which a call says something."""
    from sightflow.models import find_model
    from sightflow.tasks.classify import Classify
    from sightflow.tasks.detect import Detect

    def step(kind: Any, model: str, *names: str) -> Any:
        chosen = given(options, *names)
        if options[model] is not None:
            chosen["model"] = find_model(options[model])
        return kind(**chosen) if chosen else None

    return {
        "classify": step(Classify, "classifier", "top_k"),
        "detect": step(Detect, "detector", "min_score"),
    }


def _named(options: dict[str, Any]) -> Iterator[tuple[str, str, str | None]]:
    """Yield name, path and kind of each table of a call.

    A file of results brings the rejected images beside it with it.
    """
    for name in _WRITTEN:
        if options[name]:
            yield name, options[name], name
    results = options["results"]
    if results and results.endswith(".jsonl") and not options["rejected"]:
        beside = results.removesuffix(".jsonl") + ".rejected.jsonl"
        if Path(beside).is_file():
            yield "rejected", beside, "rejected"
    for one in options["table"]:
        name, equals, path = one.partition("=")
        if not equals or not name or not path:
            raise click.UsageError(f"--table {one}: must be NAME=PATH")
        yield name, path, None


def _add(env: Any, name: str, path: str, kind: Any, *, follow: bool) -> tuple[str, ...]:
    from sightflow.flink.sql import add_table, add_topic

    if not path.startswith(_TOPIC):
        return add_table(env, name, path, kind, follow=follow)
    servers, _, topic = path.removeprefix(_TOPIC).partition("/")
    if kind is None or not servers or not topic:
        raise click.UsageError(
            f"{path}: a topic is kafka://HOST:PORT/TOPIC, and is given to --results, --events or "
            "--rejected"
        )
    return add_topic(env, name, kind, servers, topic, follow=follow)


def _answer(session: "Session", statement: "Statement", options: dict[str, Any]) -> None:
    """Run a statement and write its rows."""
    answer = session.run(statement)
    follow = options["follow"] and statement.is_query
    with closing(answer.rows), _interruptible(follow):
        if not answer.has_rows:
            for _ in answer.rows:  # an INSERT ends when all is written
                pass
            return
        with _opened(options) as (stream, form):
            write_rows(answer.columns, answer.rows, stream, form, at_once=follow)


@contextmanager
def _interruptible(follow: bool) -> Iterator[None]:
    """Take Ctrl-C as the end of a query that has no other."""
    try:
        yield
    except KeyboardInterrupt:
        if not follow:
            raise


@contextmanager
def _opened(options: dict[str, Any]) -> Iterator[tuple[IO[str], str]]:
    """Give the stream for rows, and their form; a file appears when all is in it."""
    from sightflow.storage.drafts import replacing

    out = options["out"]
    if not out:
        yield sys.stdout, options["format"] or ("table" if sys.stdout.isatty() else "jsonl")
        return
    with (
        nullcontext(out) if options["follow"] else replacing(Path(out)) as place,
        open(place, "w", encoding="utf-8", newline="") as stream,
    ):
        yield stream, out.rpartition(".")[2]
