"""What the commands that run a pipeline share: their source, their settings, the run itself."""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from sightflow.cli.fields import given
from sightflow.cli.metrics import metrics_settings, tell_where_to_look
from sightflow.cli.page import Beside, beside_page, page_beside
from sightflow.errors import JobError

if TYPE_CHECKING:
    from sightflow.pipeline import Pipeline
    from sightflow.protocols import Source
    from sightflow.records.ledger import Ledger, Summary
    from sightflow.settings import RunSettings

OnEvent = Callable[[Mapping[str, Any]], None]

__all__ = [
    "OnEvent",
    "chosen_model",
    "events_file",
    "execute",
    "get_ready",
    "holds_a_run",
    "run_to_out",
    "run_with",
    "settings_of",
    "source_of",
    "state_settings",
]

_FEW = 8
"""So many pictures are answered before Java has started."""


def state_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a call says about the state of its run, as `RunSettings` have it."""
    names = "state_dir", "upgrade", "drop_state"
    return {name: options[name] for name in names if options.get(name)}


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
    execute(
        pipeline,
        settings_of(options),
        quiet=options["quiet"],
        hidden=hidden,
        on_event=on_event,
        page=page_beside(options),
    )


def settings_of(options: Mapping[str, Any], base: "RunSettings | None" = None) -> "RunSettings":
    """Return how a call runs its pipeline; what it does not say is as in `base`."""
    from sightflow.settings import RunSettings

    chosen = {**given(options, "runner", "workers", "batch_size", "device")}
    chosen |= {**state_settings(options), **metrics_settings(options)}
    if options["reduced_decode"]:
        chosen["reduced_decode"] = True
    if options["web_ui"]:
        chosen["web_ui_port"] = options["web_ui"]
    if options["max_megapixels"]:
        chosen["max_pixels"] = int(options["max_megapixels"] * 1_000_000)
    return replace(base or RunSettings(), **chosen)


def get_ready(options: dict[str, Any], *, n_images: int | None = None) -> None:
    """Choose the runner; let Java start while everything else is loaded and checked.

    Args:
        options: of the call.
        n_images: how many will be read; None: its paths tell whether they are few.
    """
    if options["runner"] == "inline" and options["state_dir"]:
        raise click.UsageError("--state-dir goes with --runner flink: inline has no checkpoints")
    if options["runner"] == "inline" and metrics_settings(options):
        raise click.UsageError("--metrics and --otlp go with --runner flink: inline reports none")
    options["runner"] = options["runner"] or _runner_for(options, n_images)
    if options["runner"] == "flink":
        from sightflow.flink.gateway import start_in_background

        start_in_background()


def _runner_for(options: dict[str, Any], n_images: int | None) -> str:
    """Return the default: single pictures are answered here, masses go to Flink."""
    from sightflow.storage.naming import VIDEO_SUFFIXES

    if any(
        options[name] for name in ("workers", "web_ui", "state_dir", "metrics_port", "otlp_url")
    ):
        return "flink"
    if n_images is not None:
        return "inline" if n_images <= _FEW else "flink"
    paths: Sequence[str] = options["paths"]
    many = (*VIDEO_SUFFIXES, ".zip")
    single = all(Path(path).is_file() and not path.lower().endswith(many) for path in paths)
    return "inline" if single and len(paths) <= _FEW else "flink"


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
    page: Beside | None = None,
) -> "Summary":
    """Run a pipeline before the eyes of a person.

    Args:
        pipeline: what to do.
        settings: how.
        quiet: whether to show neither progress nor a summary.
        hidden: a folder; outputs in it are not mentioned.
        on_event: told each event; of a pipeline that learns they are shown instead.
        page: a live page beside it; None: there is none.
    """
    from sightflow.cli import console
    from sightflow.runners import run

    if settings.state_dir and holds_a_run(settings.state_dir):
        print(f"going on from what is in {settings.state_dir}", file=sys.stderr)
    tell_where_to_look(settings)
    with (
        console.without_native_noise() as stderr,
        console.notes(stderr=stderr),
        beside_page(settings, pipeline.name, page, stderr=stderr) as (settings, live),
        console.progress(pipeline.name, stderr=stderr, quiet=quiet) as (on_progress, show),
    ):
        told = show if pipeline.learning else on_event

        def tell(ledger: "Ledger", n_images: int | None) -> None:
            on_progress(ledger, n_images)
            live.total = n_images

        try:
            summary = run(pipeline, settings, on_progress=tell, on_event=told)
            live.status = "ended" if summary.has_ended else "stopped"
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
