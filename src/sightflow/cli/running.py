"""What the commands that run a pipeline share: their options, their source, the run itself."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from sightflow.errors import JobError

if TYPE_CHECKING:
    from sightflow.pipeline import Pipeline
    from sightflow.protocols import Source
    from sightflow.records.ledger import Summary
    from sightflow.settings import RunSettings

__all__ = [
    "execute",
    "get_ready",
    "reading_options",
    "run_options",
    "run_to_out",
    "run_with",
    "source_of",
]


def reading_options(
    *, fps: str = "At most so many video frames a second; not with --every."
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options that say what of the paths is read; `fps` is the help of `--fps`."""
    options = [
        click.option("--pattern", default="*", help="Which files of a folder, such as '*.jpg'."),
        click.option("--every", type=click.IntRange(1), default=1, help="Every n-th video frame."),
        click.option("--fps", type=click.FloatRange(0, 1000, min_open=True), help=fps),
    ]
    return lambda command: _with(options, command)


def run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how a pipeline is run."""
    options = [
        click.option(
            "--runner",
            type=click.Choice(["flink", "inline"]),
            help="Embedded Flink, or this process (default for little work).",
        ),
        click.option("--workers", type=click.IntRange(1), help="Parallel workers [one a core]."),
        click.option("--batch-size", type=click.IntRange(1), help="Images in one model call [4]."),
        click.option("--device", help="cpu, cuda, cuda:N, tensorrt [a GPU that works, else cpu]."),
        click.option(
            "--max-megapixels",
            type=click.FloatRange(0, min_open=True),
            help="Reject larger images before decoding them [178].",
        ),
        click.option(
            "--reduced-decode",
            is_flag=True,
            help="Decode large JPEGs smaller where that is enough; scores change a little.",
        ),
        click.option(
            "--state-dir",
            type=click.Path(file_okay=False),
            help="Keep checkpoints here; a call that died goes on from them when it is repeated.",
        ),
        click.option(
            "--web-ui",
            type=click.IntRange(1, 65535),
            metavar="PORT",
            help="Show Flink's own page on this port of 127.0.0.1 while the job runs.",
        ),
        click.option("--overwrite", is_flag=True, help="Replace the output of an earlier run."),
        click.option("--quiet", is_flag=True, help="No progress, no summary."),
    ]
    return _with(options, command)


def _with(
    options: Sequence[Callable[..., Any]], command: Callable[..., None]
) -> Callable[..., None]:
    for option in reversed(options):
        command = option(command)
    return command


def source_of(options: dict[str, Any], *, as_frames: bool = False) -> "Source":
    """Return the source for the paths of a call: pictures, videos, or both.

    With `as_frames` pictures are the frames of a video, `--fps` of them a second.
    """
    from sightflow.sources import Directory, Union
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
    pipeline: "Pipeline", options: dict[str, Any], **more_kinds: Callable[..., Any]
) -> None:
    """Run a pipeline into the file of `--out`, or print its results.

    Args:
        pipeline: without a sink for its results.
        options: of the call.
        more_kinds: sinks by the ending of their file, beside `jsonl` and `parquet`.
    """
    from sightflow.cli import console
    from sightflow.sinks import JsonLines, Parquet

    out = options["out"]
    if out:
        kinds: dict[str, Any] = {"jsonl": JsonLines, "parquet": Parquet, **more_kinds}
        ending = Path(out).suffix.removeprefix(".")
        if ending not in kinds:
            kinds = {**_sinks_by_ending(), **kinds}
        if ending not in kinds:
            known = ", ".join(f".{kind}" for kind in kinds)
            raise click.UsageError(f"--out {out}: the ending must be one of {known}")
        sink = kinds[ending](out, overwrite=options["overwrite"])
        run_with(pipeline.write("results", sink), options)
        return
    if options["state_dir"]:
        raise click.UsageError("--state-dir needs --out: what goes on needs a place")
    with tempfile.TemporaryDirectory(prefix="sightflow-") as folder:
        path = Path(folder, "results.jsonl")
        run_with(pipeline.write("results", JsonLines(str(path))), options, hidden=folder)
        console.print_results(path, as_json=not sys.stdout.isatty())


def _sinks_by_ending() -> dict[str, Any]:
    """Return the sinks of all packages that say how their files end."""
    from sightflow.kinds import known_kinds, resolve_kind

    kinds = [resolve_kind("sinks", name) for name in known_kinds("sinks")]
    return {kind.ending: kind for kind in kinds if hasattr(kind, "ending")}


def run_with(pipeline: "Pipeline", options: dict[str, Any], *, hidden: str | None = None) -> None:
    """Run a pipeline with the settings of a call; outputs in `hidden` are not mentioned."""
    from sightflow.settings import RunSettings

    chosen = {
        "runner": options["runner"],
        "workers": options["workers"],
        "batch_size": options["batch_size"],
        "device": options["device"],
        "max_pixels": options["max_megapixels"] and int(options["max_megapixels"] * 1_000_000),
        "reduced_decode": options["reduced_decode"],
        "web_ui_port": options["web_ui"],
        "state_dir": options["state_dir"],
    }
    settings = RunSettings(**{name: value for name, value in chosen.items() if value is not None})
    execute(pipeline, settings, quiet=options["quiet"], hidden=hidden)


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


def _holds_a_run(state_dir: str) -> bool:
    from sightflow.flink.runfiles import holds_a_run

    return holds_a_run(state_dir)


def _tell_how_to_go_on(settings: "RunSettings", stderr: IO[str]) -> None:
    """Say what to do after a run that died, if its state is there."""
    if settings.state_dir and _holds_a_run(settings.state_dir):
        print(f"the same call goes on from what is in {settings.state_dir}", file=stderr)


def execute(
    pipeline: "Pipeline", settings: "RunSettings", *, quiet: bool, hidden: str | None = None
) -> "Summary":
    """Run a pipeline before the eyes of a person; outputs in `hidden` are not mentioned."""
    from sightflow.cli import console
    from sightflow.runners import run

    if settings.state_dir and _holds_a_run(settings.state_dir):
        print(f"going on from what is in {settings.state_dir}", file=sys.stderr)
    if settings.web_ui_port:
        page = f"http://127.0.0.1:{settings.web_ui_port}"
        print(f"Flink's page will be at {page}", file=sys.stderr)
    with (
        console.without_native_noise() as stderr,
        console.notes(stderr=stderr),
        console.progress(pipeline.name, stderr=stderr, quiet=quiet) as (on_progress, on_event),
    ):
        told = on_event if pipeline.learning else None
        try:
            summary = run(pipeline, settings, on_progress=on_progress, on_event=told)
        except (JobError, KeyboardInterrupt):
            _tell_how_to_go_on(settings, stderr)
            raise
    if not summary.ledger.read:
        print("sightflow: nothing was read", file=sys.stderr)
    outputs = [output for named in pipeline.sinks for output in named.sink.outputs()]
    if not quiet:
        shown = [o for o in outputs if hidden is None or not o.startswith(hidden)]
        console.print_summary(summary, shown)
    return summary
