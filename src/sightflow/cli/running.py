"""What the commands that run a pipeline share: their options, their source, the run itself."""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from sightflow.cli.fields import FieldChoice, FieldOption, given
from sightflow.errors import JobError

if TYPE_CHECKING:
    from sightflow.pipeline import Pipeline
    from sightflow.protocols import Source
    from sightflow.records.ledger import Summary
    from sightflow.settings import RunSettings

OnEvent = Callable[[Mapping[str, Any]], None]

__all__ = [
    "OnEvent",
    "add_options",
    "chosen_model",
    "events_file",
    "execute",
    "get_ready",
    "holds_a_run",
    "model_option",
    "overwrite_option",
    "quiet_option",
    "reading_options",
    "run_options",
    "run_to_out",
    "run_with",
    "runner_option",
    "source_of",
    "state_options",
    "state_settings",
    "upgrade_options",
    "workers_option",
]

_SETTINGS = "sightflow.settings:RunSettings"

overwrite_option = click.option(
    "--overwrite",
    is_flag=True,
    help="Replace the output of an earlier run; one that goes on keeps its own.",
)
quiet_option = click.option("--quiet", is_flag=True, help="No progress, no summary.")
upgrade_options = (
    click.option(
        "--upgrade", is_flag=True, help="Go on from the state of a run though the pipeline changed."
    ),
    click.option(
        "--drop-state",
        multiple=True,
        metavar="NAME",
        help="With --upgrade: a step or sink whose state may be lost; may be repeated.",
    ),
)
state_options = (
    click.option(
        "--state-dir",
        type=click.Path(file_okay=False),
        help="Keep checkpoints here; a call that died goes on from them when it is repeated.",
    ),
    *upgrade_options,
)


def state_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a call says about the state of its run, as `RunSettings` have it."""
    names = "state_dir", "upgrade", "drop_state"
    return {name: options[name] for name in names if options.get(name)}


def runner_option(words: str) -> Callable[..., Any]:
    """Return the option `--runner` with this help."""
    return click.option("--runner", type=FieldChoice(f"{_SETTINGS}.runner"), help=words)


def workers_option(default: str) -> Callable[..., Any]:
    """Return the option `--workers`; without it there are as many as `default` says."""
    return click.option("--workers", type=click.IntRange(1), help=f"Parallel workers [{default}].")


def model_option(
    task: str,
    name: str = "model",
    help: str = "Name that ships, .onnx file with its card, or REGISTRY/NAME[@VERSION].",
    *,
    field: str | None = None,
) -> Callable[..., Any]:
    """Return the option for a model, whose default is a field of `package.module:Class`.

    The field is called `field`, or as the option.
    """
    return click.option(
        f"--{name.replace('_', '-')}",
        cls=FieldOption,
        field=f"{task}.{field or name}",
        shown=lambda model: model.reference,
        help=help,
    )


def reading_options(
    *, fps: str = "Video frames a second at most; not with --every."
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options that say what of the paths is read; `fps` is the help of `--fps`."""
    options = [
        click.option("--pattern", default="*", help="Which files of a folder, such as '*.jpg'."),
        click.option("--every", type=click.IntRange(1), default=1, help="Every n-th video frame."),
        click.option("--fps", type=click.FloatRange(0, 1000, min_open=True), help=fps),
    ]
    return add_options(options)


def run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how a pipeline is run."""
    options = [
        runner_option("Embedded Flink, or this process (default for little work)."),
        workers_option("one a core"),
        click.option(
            "--batch-size",
            cls=FieldOption,
            field=f"{_SETTINGS}.batch_size",
            type=click.IntRange(1),
            help="Images in one model call.",
        ),
        click.option("--device", help="cpu, cuda, cuda:N, tensorrt [a GPU that works, else cpu]."),
        click.option(
            "--max-megapixels",
            cls=FieldOption,
            field=f"{_SETTINGS}.max_pixels",
            shown=lambda n_pixels: n_pixels // 1_000_000,
            type=click.FloatRange(0, min_open=True),
            help="Reject larger images before decoding them.",
        ),
        click.option(
            "--reduced-decode",
            is_flag=True,
            help="Decode large JPEGs smaller where that is enough; scores change a little.",
        ),
        *state_options,
        click.option(
            "--web-ui",
            type=click.IntRange(1, 65535),
            metavar="PORT",
            help="Show Flink's own page on this port of 127.0.0.1 while the job runs.",
        ),
        overwrite_option,
        quiet_option,
    ]
    return add_options(options)(command)


def add_options(
    options: Sequence[Callable[..., Any]],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return what adds these options to a command, in this order."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def chosen_model(options: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return the models of a call as options of its step; of those that the call names.

    Without `names` it is the one of `--model`.
    """
    chosen = given(options, *(names or ("model",)))
    if not chosen:
        return {}
    from sightflow.models import find_model

    return {name: find_model(model) for name, model in chosen.items()}


def source_of(options: dict[str, Any], *, as_frames: bool = False) -> "Source":
    """Return the source for the paths of a call: pictures, videos, or both.

    With `as_frames` pictures are the frames of a video, `--fps` of them a second.
    """
    from sightflow.sources.directory import Directory
    from sightflow.sources.union import Union
    from sightflow.storage.naming import VIDEO_SUFFIXES

    paths: Sequence[str] = options["paths"]
    videos = tuple(path for path in paths if path.lower().endswith(VIDEO_SUFFIXES))
    pictures = tuple(path for path in paths if path not in videos)
    sources: list[Source] = []
    if pictures:
        fps = options["fps"] if as_frames else None
        sources.append(Directory(pictures, pattern=options["pattern"], fps=fps))
    if options["fps"] and options["every"] != 1:
        raise click.UsageError("--every and --fps exclude each other")
    if videos:
        from sightflow.sources.video import Video

        sources.append(Video(videos, every=options["every"], fps=options["fps"]))
    return sources[0] if len(sources) == 1 else Union(tuple(sources))


def run_to_out(
    pipeline: "Pipeline",
    options: dict[str, Any],
    *,
    on_event: OnEvent | None = None,
    **more_kinds: Callable[..., Any],
) -> None:
    """Run a pipeline into the file of `--out`, or print its results.

    Args:
        pipeline: without a sink for its results.
        options: of the call.
        on_event: told each event; after a restart some come again.
        more_kinds: sinks by the ending of their file, beside `jsonl` and `parquet`.
    """
    from sightflow.cli import console
    from sightflow.sinks.results import JsonLines, Parquet
    from sightflow.sinks.table import Csv

    out = options["out"]
    if out:
        kinds: dict[str, Any] = {"csv": Csv, "jsonl": JsonLines, "parquet": Parquet, **more_kinds}
        ending = Path(out).suffix.removeprefix(".")
        if ending not in kinds:
            kinds = {**_sinks_by_ending(), **kinds}
        if ending not in kinds:
            known = ", ".join(f".{kind}" for kind in kinds)
            raise click.UsageError(f"--out {out}: the ending must be one of {known}")
        sink = kinds[ending](out, overwrite=options["overwrite"])
        run_with(pipeline.write("results", sink), options, on_event=on_event)
        return
    if options["state_dir"]:
        raise click.UsageError("--state-dir needs --out: what goes on needs a place")
    with tempfile.TemporaryDirectory(prefix="sightflow-") as folder:
        path = Path(folder, "results.jsonl")
        pipeline = pipeline.write("results", JsonLines(str(path)))
        run_with(pipeline, options, hidden=folder, on_event=on_event)
        console.print_results(path, as_json=not sys.stdout.isatty())


def events_file(path: str) -> str:
    """Return the path of `--events`, if its ending says what will be in it."""
    if not path.endswith(".jsonl"):
        raise click.UsageError(f"--events {path}: the ending must be .jsonl")
    return path


def _sinks_by_ending() -> dict[str, Any]:
    """Return the sinks of all packages that say how their files end."""
    from sightflow.errors import PipelineError
    from sightflow.kinds import known_kinds, resolve_kind

    found: dict[str, Any] = {}
    for name in known_kinds("sinks"):
        try:
            kind = resolve_kind("sinks", name)
        except PipelineError as error:  # of another package, which need not stop this call
            print(f"sightflow: {error}", file=sys.stderr)
            continue
        if hasattr(kind, "ending"):
            found.setdefault(kind.ending, kind)
    return found


def run_with(
    pipeline: "Pipeline",
    options: dict[str, Any],
    *,
    hidden: str | None = None,
    on_event: OnEvent | None = None,
) -> None:
    """Run a pipeline with the settings of a call; outputs in `hidden` are not mentioned."""
    from sightflow.settings import RunSettings

    same = ("runner", "workers", "batch_size", "device", "reduced_decode")
    chosen = {**given(options, *same), **state_settings(options)}
    chosen["web_ui_port"] = options["web_ui"]
    if options["max_megapixels"]:
        chosen["max_pixels"] = int(options["max_megapixels"] * 1_000_000)
    settings = RunSettings(**chosen)
    execute(pipeline, settings, quiet=options["quiet"], hidden=hidden, on_event=on_event)


def get_ready(options: dict[str, Any]) -> None:
    """Choose the runner; let Java start while everything else is loaded and checked."""
    if options["runner"] == "inline" and options["state_dir"]:
        raise click.UsageError("--state-dir goes with --runner flink: inline has no checkpoints")
    options["runner"] = options["runner"] or _runner_for(options)
    if options["runner"] == "flink":
        from sightflow.flink.gateway import start_in_background

        start_in_background()


def _runner_for(options: dict[str, Any]) -> str:
    """Return the default: single pictures are answered here, masses go to Flink."""
    from sightflow.storage.naming import VIDEO_SUFFIXES

    if options["workers"] or options["web_ui"] or options["state_dir"]:
        return "flink"
    paths: Sequence[str] = options["paths"]
    many = (*VIDEO_SUFFIXES, ".zip")
    single = all(Path(path).is_file() and not path.lower().endswith(many) for path in paths)
    return "inline" if single and len(paths) <= 8 else "flink"


def holds_a_run(state_dir: str) -> bool:
    """Return whether a folder holds what a run can go on from."""
    from sightflow.flink import runfiles

    return runfiles.holds_a_run(state_dir)


def _tell_how_to_go_on(settings: "RunSettings", stderr: IO[str]) -> None:
    """Say what to do after a run that died or was stopped, if its state is there."""
    if settings.state_dir and holds_a_run(settings.state_dir):
        print(f"the same call goes on from what is in {settings.state_dir}", file=stderr)


def execute(
    pipeline: "Pipeline",
    settings: "RunSettings",
    *,
    quiet: bool,
    hidden: str | None = None,
    on_event: OnEvent | None = None,
) -> "Summary":
    """Run a pipeline before the eyes of a person; outputs in `hidden` are not mentioned.

    `on_event` is told each event; of a pipeline that learns they are shown instead.
    """
    from sightflow.cli import console
    from sightflow.runners import run

    if settings.state_dir and holds_a_run(settings.state_dir):
        print(f"going on from what is in {settings.state_dir}", file=sys.stderr)
    if settings.web_ui_port:
        page = f"http://127.0.0.1:{settings.web_ui_port}"
        print(f"Flink's page will be at {page}", file=sys.stderr)
    with (
        console.without_native_noise() as stderr,
        console.notes(stderr=stderr),
        console.progress(pipeline.name, stderr=stderr, quiet=quiet) as (on_progress, show),
    ):
        told = show if pipeline.learning else on_event
        try:
            summary = run(pipeline, settings, on_progress=on_progress, on_event=told)
        except (JobError, KeyboardInterrupt):
            _tell_how_to_go_on(settings, stderr)
            raise
    if not summary.has_ended:
        _tell_how_to_go_on(settings, sys.stderr)
    if not summary.ledger.read:
        print("sightflow: nothing was read", file=sys.stderr)
    outputs = [output for named in pipeline.sinks for output in named.sink.outputs()]
    if not quiet:
        shown = [o for o in outputs if hidden is None or not o.startswith(hidden)]
        console.print_summary(summary, shown)
    return summary
