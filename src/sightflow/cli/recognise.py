"""Commands that run a pipeline."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sightflow.pipeline import Pipeline
    from sightflow.protocols import Source
    from sightflow.settings import RunSettings

__all__ = ["classify", "detect", "preprocess", "run_file"]


def _run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of every command that runs a pipeline."""
    options = [
        click.argument("paths", nargs=-1, required=True, metavar="PATH..."),
        click.option("--pattern", default="*", help="Which files of a folder, such as '*.jpg'."),
        click.option("--every", type=click.IntRange(1), default=1, help="Every n-th video frame."),
        click.option(
            "--fps",
            type=click.FloatRange(0, 1000, min_open=True),
            help="At most so many video frames a second; not with --every.",
        ),
        click.option(
            "--runner",
            type=click.Choice(["flink", "inline"]),
            help="Embedded Flink (default), or this process (default for single pictures).",
        ),
        *_shared_options(),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _shared_options() -> list[Callable[..., Any]]:
    return [
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
            "--web-ui",
            type=click.IntRange(1, 65535),
            metavar="PORT",
            help="Show Flink's own page on this port of 127.0.0.1 while the job runs.",
        ),
        click.option("--overwrite", is_flag=True, help="Replace the output of an earlier run."),
        click.option("--quiet", is_flag=True, help="No progress, no summary."),
    ]


def _out_option(*, parquet: bool) -> Callable[..., Any]:
    kinds = ".jsonl or .parquet" if parquet else ".jsonl"
    return click.option("--out", type=click.Path(), help=f"File for the results, {kinds}.")


@click.command()
@_run_options
@_out_option(parquet=True)
@click.option("--top-k", type=click.IntRange(1), default=5, show_default=True)
@click.option("--min-score", type=click.FloatRange(0, 1), default=0.0, show_default=True)
@click.option("--model", help="Name (see `sightflow models`), or an .onnx file with its card.")
@click.option("--scenes", is_flag=True, help="Also name the scene: coast, kitchen, street, ...")
@click.option("--annotate", type=click.Path(), metavar="DIR", help="Folder for labelled pictures.")
def classify(**options: Any) -> None:
    """Name the main subject of each image."""
    _get_ready(options)
    from sightflow.models import find_model
    from sightflow.tasks.classify import Classify

    model = find_model(options["model"] or "efficientnet_lite0")
    step = Classify(
        model=model,
        top_k=options["top_k"],
        min_score=options["min_score"],
        scenes=options["scenes"],
    )
    _recognise("classify", step, options)


@click.command()
@_run_options
@_out_option(parquet=True)
@click.option("--min-score", type=click.FloatRange(0, 1), default=0.4, show_default=True)
@click.option("--model", help="Name (see `sightflow models`), or an .onnx file with its card.")
@click.option(
    "--annotate", type=click.Path(), metavar="DIR", help="Folder for pictures with boxes."
)
def detect(**options: Any) -> None:
    """Find objects in each image: boxes, labels, scores."""
    _get_ready(options)
    from sightflow.models import find_model
    from sightflow.tasks.detect import Detect

    model = find_model(options["model"] or "nanodet")
    _recognise("detect", Detect(model=model, min_score=options["min_score"]), options)


def _recognise(name: str, step: Any, options: dict[str, Any]) -> None:
    """Run one step over the paths, into a file or onto standard output."""
    from sightflow import console
    from sightflow.pipeline import Pipeline
    from sightflow.sinks import AnnotatedImages, JsonLines, Parquet

    pipeline = Pipeline(_source(options), name=f"sightflow {name}").apply(name, step)
    overwrite = options["overwrite"]
    if options["annotate"]:
        sink = AnnotatedImages(options["annotate"], overwrite=overwrite)
        pipeline = pipeline.write("pictures", sink)
    out = options["out"]
    if out:
        kinds: dict[str, Any] = {".jsonl": JsonLines, ".parquet": Parquet}
        ending = Path(out).suffix
        if ending not in kinds:
            raise click.UsageError(f"--out {out}: the ending must be one of {', '.join(kinds)}")
        _run(pipeline.write("results", kinds[ending](out, overwrite=overwrite)), options)
        return
    with tempfile.TemporaryDirectory(prefix="sightflow-") as folder:
        path = Path(folder, "results.jsonl")
        _run(pipeline.write("results", JsonLines(str(path))), options, hidden=folder)
        console.print_results(path, as_json=not sys.stdout.isatty())


@click.command()
@_run_options
@click.option("--out", type=click.Path(), required=True, metavar="DIR", help="Folder to fill.")
@click.option("--size", type=click.IntRange(1), help="Side of the square result, in pixels.")
@click.option(
    "--fit",
    type=click.Choice(["crop", "letterbox", "stretch"]),
    default="crop",
    show_default=True,
    help="How a picture becomes a square: cut, framed, or pulled.",
)
@click.option("--resize", type=click.IntRange(1), help="Length of the short side before a crop.")
@click.option(
    "--interpolation",
    type=click.Choice(["nearest", "bilinear", "bicubic", "area"]),
    default="area",
    show_default=True,
)
@click.option("--mean", type=float, nargs=3, help="Subtract R G B (of 0..255); needs npy.")
@click.option("--std", type=float, nargs=3, help="Divide by R G B after that; needs npy.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["jpeg", "png", "npy"]),
    default="jpeg",
    show_default=True,
)
@click.option("--quality", type=click.IntRange(1, 100), default=95, show_default=True)
def preprocess(**options: Any) -> None:
    """Decode, scale, crop and normalise pictures into a folder.

    Beside the pictures, DIR/index.jsonl lists what was prepared and DIR/index.rejected.jsonl what
    could not be, and why.
    """
    _get_ready(options)
    from sightflow.pipeline import Pipeline
    from sightflow.sinks import ImageFolder, JsonLines
    from sightflow.tasks.prepare import Prepare

    directory = options["out"]
    folder = ImageFolder(
        directory, options["format_"], options["quality"], overwrite=options["overwrite"]
    )
    index = JsonLines(str(Path(directory, "index.jsonl")), overwrite=options["overwrite"])
    pipeline = (
        Pipeline(_source(options), name="sightflow preprocess")
        .apply("prepare", Prepare(_preprocess(options)))
        .write("pictures", folder)
        .write("index", index)
    )
    _run(pipeline, options)


def _preprocess(options: dict[str, Any]) -> Any:
    from sightflow.ops.preprocess import Preprocess

    size, fit = options["size"], options["fit"]
    if options["resize"] and fit != "crop":
        raise click.UsageError(f"--resize goes with --fit crop; --fit {fit} scales by itself")
    square = None if size is None else (size, size)
    if (options["mean"] or options["std"]) and options["format_"] != "npy":
        raise click.UsageError("--mean and --std make numbers, not pictures; add --format npy")
    return Preprocess(
        resize=options["resize"] or (size if fit == "crop" else None),
        crop=square if fit == "crop" else None,
        letterbox=square if fit == "letterbox" else None,
        stretch=square if fit == "stretch" else None,
        interpolation=options["interpolation"],
        mean=options["mean"] or None,
        std=options["std"] or None,
    )


@click.command("run")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Only check the file, the models and the outputs.")
@click.option("--quiet", is_flag=True, help="No progress, no summary.")
def run_file(file: Path, *, check: bool, quiet: bool) -> None:
    """Run the pipeline that a YAML FILE describes (docs/reference/pipelines.md)."""
    from sightflow.configuration import read_pipeline

    pipeline, settings = read_pipeline(file)
    if check:
        pipeline.check()
        click.echo(f"{file}: in order")
        return
    _execute(pipeline, settings, quiet=quiet)


def _source(options: dict[str, Any]) -> "Source":
    """Return the source for the paths of a call: pictures, videos, or both."""
    from sightflow.sources import Directory, Union
    from sightflow.sources.naming import VIDEO_SUFFIXES

    paths: Sequence[str] = options["paths"]
    videos = tuple(path for path in paths if path.lower().endswith(VIDEO_SUFFIXES))
    pictures = tuple(path for path in paths if path not in videos)
    sources: list[Source] = []
    if pictures:
        sources.append(Directory(pictures, pattern=options["pattern"]))
    if options["fps"] and options["every"] != 1:
        raise click.UsageError("--every and --fps exclude each other")
    if videos:
        from sightflow.sources.video import Video

        sources.append(Video(videos, every=options["every"], fps=options["fps"]))
    return sources[0] if len(sources) == 1 else Union(tuple(sources))


def _run(pipeline: "Pipeline", options: dict[str, Any], *, hidden: str | None = None) -> None:
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
    }
    settings = RunSettings(**{name: value for name, value in chosen.items() if value is not None})
    _execute(pipeline, settings, quiet=options["quiet"], hidden=hidden)


def _get_ready(options: dict[str, Any]) -> None:
    """Choose the runner; let Java start while everything else is loaded and checked."""
    options["runner"] = options["runner"] or _runner_for(options)
    if options["runner"] == "flink":
        from sightflow.flink.gateway import start_in_background

        start_in_background()


def _runner_for(options: dict[str, Any]) -> str:
    """Return the default: single pictures are answered here, masses go to Flink."""
    from sightflow.sources.naming import VIDEO_SUFFIXES

    if options["workers"] or options["web_ui"]:
        return "flink"
    paths: Sequence[str] = options["paths"]
    many = (*VIDEO_SUFFIXES, ".zip")
    single = all(Path(path).is_file() and not path.lower().endswith(many) for path in paths)
    return "inline" if single and len(paths) <= 8 else "flink"


def _execute(
    pipeline: "Pipeline", settings: "RunSettings", *, quiet: bool, hidden: str | None = None
) -> None:
    from sightflow import console
    from sightflow.runners import run

    if settings.web_ui_port:
        page = f"http://127.0.0.1:{settings.web_ui_port}"
        print(f"Flink's page will be at {page}", file=sys.stderr)
    with (
        console.without_native_noise() as stderr,
        console.progress(pipeline.name, stderr=stderr, quiet=quiet) as on_progress,
    ):
        summary = run(pipeline, settings, on_progress=on_progress)
    if not summary.ledger.read:
        print("sightflow: nothing to read: no file matches", file=sys.stderr)
    outputs = [output for named in pipeline.sinks for output in named.sink.outputs()]
    if not quiet:
        shown = [o for o in outputs if hidden is None or not o.startswith(hidden)]
        console.print_summary(summary, shown)
