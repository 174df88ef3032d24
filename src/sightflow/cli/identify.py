"""The command that says whose faces there are, and what commands about faces share."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sightflow.cli.fields import FieldOption, given
from sightflow.cli.options import (
    add_options,
    reading_options,
    run_options,
)
from sightflow.cli.running import (
    events_file,
    get_ready,
    run_to_out,
    source_of,
)

if TYPE_CHECKING:
    from sightflow.faces import FaceModels
    from sightflow.pipeline import Pipeline

__all__ = ["chosen_models", "face_model_options", "far_of", "far_option", "identify_faces"]

_DETECT = "sightflow.tasks.detect_faces:DetectFaces"
_IDENTIFY = "sightflow.tasks.identify:Identify"
_MODELS = "sightflow.faces.describing:FaceModels"
_FAR = 1e-3
_HIDING_SCORE = 0.3
"""Where strangers are blurred, rather a napkin too many than a face too few."""

far_option = click.option(
    "--far",
    type=click.FloatRange(0, 1, min_open=True),
    show_default=f"{_FAR:g}",
    help="False accept rate for which the embedder's card has a threshold.",
)


def face_model_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options for the models."""
    words = {
        "detector": "Finds the faces.",
        "aligner": "Places landmarks on them; `none` takes those of the detector.",
        "embedder": "Describes them.",
    }
    options = [
        click.option(
            f"--{name}",
            cls=FieldOption,
            field=f"{_MODELS}.{name}",
            shown=lambda model: model.reference,
            metavar="MODEL",
            help=text,
        )
        for name, text in words.items()
    ]
    return add_options(options)(command)


def chosen_models(options: Mapping[str, Any]) -> "FaceModels":
    """Return the models of a call."""
    from sightflow.faces import FaceModels
    from sightflow.models import find_model

    models: dict[str, Any] = given(options, "detector", "aligner", "embedder")
    for name, model in models.items():
        models[name] = None if (name, model) == ("aligner", "none") else find_model(model)
    return FaceModels(**models)


def far_of(options: Mapping[str, Any], *, instead: str | None = None) -> float:
    """Return the false accept rate of a call.

    Raises:
        click.UsageError: both it and the option `instead` are given.
    """
    if options["far"] is None:
        return _FAR
    if instead is not None and options[instead] is not None:
        raise click.UsageError(f"give --far or --{instead.replace('_', '-')}, not both")
    return float(options["far"])


@click.command("identify")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--gallery",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Who is enrolled; who is enrolled or forgotten meanwhile counts from then on.",
)
@click.option("--out", type=click.Path(), help="File for the results, .jsonl, .parquet or .csv.")
@click.option("--events", type=click.Path(), help="File for what happens, .jsonl.")
@click.option(
    "--min-similarity",
    type=click.FloatRange(-1, 1),
    help="A face is somebody's from this similarity on, instead of --far.",
)
@far_option
@click.option(
    "--min-margin", cls=FieldOption, field=f"{_IDENTIFY}.min_margin", type=click.FloatRange(0, 2)
)
@click.option("--track", is_flag=True, help="Follow faces, and name each track once by its best.")
@click.option("--annotate", type=click.Path(), help="Folder for pictures, or .mp4 with --track.")
@click.option(
    "--blur",
    is_flag=True,
    help="With --annotate: blur everyone who is not enrolled; --min-score is then 0.3.",
)
@click.option(
    "--min-score", cls=FieldOption, field=f"{_DETECT}.min_score", type=click.FloatRange(0, 1)
)
@face_model_options
@reading_options()
@run_options
def identify_faces(**options: Any) -> None:
    """Find faces in pictures and videos, and say whose they are.

    Who is not enrolled stays unknown: `person_id` is null.
    """
    _check_identify(options)
    get_ready(options)
    models = chosen_models(options)
    if options["blur"] and options["min_score"] is None:
        options["min_score"] = _HIDING_SCORE
    pipeline = _identifying(source_of(options, as_frames=options["track"]), models, options)
    run_to_out(pipeline, options)


def _check_identify(options: Mapping[str, Any]) -> None:
    far_of(options, instead="min_similarity")
    if options["blur"] and not options["annotate"]:
        raise click.UsageError("--blur goes with --annotate")
    if (options["annotate"] or "").endswith(".mp4") and not options["track"]:
        raise click.UsageError("--annotate NAME.mp4 goes with --track; without it name a folder")
    from sightflow.storage.naming import VIDEO_SUFFIXES

    pictures = [path for path in options["paths"] if not path.lower().endswith(VIDEO_SUFFIXES)]
    if options["track"] and pictures and not options["fps"]:
        raise click.UsageError(
            f"--track: {pictures[0]} is read as pictures, which need --fps N: how many were taken "
            f"in a second; a video ends in {', '.join(VIDEO_SUFFIXES)}"
        )


def _identifying(source: Any, models: "FaceModels", options: Mapping[str, Any]) -> "Pipeline":
    """Return the steps and sinks of `identify`."""
    from sightflow.pipeline import Pipeline
    from sightflow.tasks.gallery import Gallery
    from sightflow.tasks.identify import Identify
    from sightflow.tasks.identify_tracks import IdentifyTracks
    from sightflow.tasks.track import Track

    gallery, similarity = Gallery(str(options["gallery"])), options["min_similarity"]
    if similarity is None:
        similarity = models.embedder.card.threshold_for(far_of(options)).similarity
    identify = Identify(gallery, min_similarity=similarity, **given(options, "min_margin"))
    pipeline = models.apply(
        Pipeline(source, name="sightflow faces identify"), **given(options, "min_score")
    ).apply("identify", identify)
    if options["track"]:
        # With --blur every face that is found is followed, so that a missed one is hidden too.
        all_of_them: dict[str, Any] = (
            {"high_score": _HIDING_SCORE, "min_hits": 1} if options["blur"] else {}
        )
        pipeline = pipeline.apply("track", Track(of="faces", **all_of_them))
        pipeline = pipeline.apply("persons", IdentifyTracks(gallery))
    return _with_sinks(pipeline, options)


def _with_sinks(pipeline: "Pipeline", options: Mapping[str, Any]) -> "Pipeline":
    from sightflow.sinks.events import JsonEvents
    from sightflow.sinks.images import AnnotatedImages
    from sightflow.sinks.video import AnnotatedVideo

    overwrite = options["overwrite"]
    if options["events"]:
        path = events_file(options["events"])
        pipeline = pipeline.write("events", JsonEvents(path, overwrite=overwrite))
    if options["annotate"]:
        kind: Any = AnnotatedVideo if options["track"] else AnnotatedImages
        sink = kind(options["annotate"], blur_unknown=options["blur"], overwrite=overwrite)
        pipeline = pipeline.write("pictures", sink)
    return pipeline
