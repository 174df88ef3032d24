"""Commands about faces: compare, enrol, list, forget, identify, calibrate."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sightflow.cli.fields import FieldOption, given
from sightflow.cli.running import (
    add_options,
    events_file,
    get_ready,
    overwrite_option,
    quiet_option,
    reading_options,
    run_options,
    run_to_out,
    runner_option,
    source_of,
    workers_option,
)

if TYPE_CHECKING:
    from sightflow.faces import FaceModels
    from sightflow.models import Threshold
    from sightflow.pipeline import Pipeline
    from sightflow.settings import RunSettings

__all__ = ["faces"]

_IDENTIFY = "sightflow.tasks.identify:Identify"
_DETECT = "sightflow.tasks.detect_faces:DetectFaces"
_MODELS = "sightflow.faces.describing:FaceModels"
_FAR = 1e-3
_FEW = 16
"""So many pictures are described sooner than Java has started."""

_gallery_argument = click.argument("gallery", type=click.Path(file_okay=False, path_type=Path))
_folder_argument = click.argument("directory", type=click.Path(exists=True, file_okay=False))
_json_option = click.option("--json", "as_json", is_flag=True, help="As JSON.")
_far_option = click.option(
    "--far",
    type=click.FloatRange(0, 1, min_open=True),
    default=_FAR,
    show_default=True,
    help="False accept rate for which the embedder's card has a threshold.",
)


def _model_options(command: Callable[..., None]) -> Callable[..., None]:
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


def _describing_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of commands that describe many pictures."""
    options = [
        runner_option("Embedded Flink, or this process (default for few pictures)."),
        workers_option("one a core"),
        quiet_option,
    ]
    return add_options(options)(_model_options(command))


@click.group()
def faces() -> None:
    """Compare faces; enrol people, recognise them, and forget them.

    A gallery is a folder of this machine with the faces of people who are enrolled. Nothing of it
    leaves the machine. docs/how-to/faces.md says what to mind.
    """


@faces.command("compare")
@click.argument("files", nargs=-1, metavar="[A B]")
@click.option("--pairs", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="CSV with the columns file_a and file_b, instead of A and B.")  # fmt: skip
@click.option("--root", default="", metavar="DIR", help="Folder that the files of --pairs are in.")
@click.option("--out", type=click.Path(path_type=Path), help="With --pairs: CSV for the scores.")
@_far_option
@click.option("--threshold", type=click.FloatRange(-1, 1), help="Similarity, instead of --far.")
@_describing_options
@overwrite_option
def compare_faces(files: tuple[str, ...], **options: Any) -> None:
    """Tell whether two pictures show the same person: A and B, or many pairs.

    \b
    sightflow faces compare a.jpg b.jpg
    sightflow faces compare --pairs pairs.csv --root photos --out scores.csv
    """  # noqa: D301 - click wants a backspace before lines to leave as they are
    _check_compare(files, options)
    if files:
        models, settings = _prepared(options, 2)
        _compare_two(files, models, _threshold(models, options), settings)
    else:
        _compare_pairs(options)


def _check_compare(files: tuple[str, ...], options: Mapping[str, Any]) -> None:
    if bool(files) == bool(options["pairs"]):
        raise click.UsageError("give two pictures, A and B, or --pairs FILE")
    if files and len(files) != 2:
        raise click.UsageError(f"two pictures are compared; got {len(files)}; --pairs takes many")
    if bool(options["pairs"]) != bool(options["out"]):
        raise click.UsageError("--pairs and --out go together")
    if options["root"] and not options["pairs"]:
        raise click.UsageError("--root goes with --pairs")


def _compare_two(
    files: tuple[str, ...], models: "FaceModels", threshold: "Threshold", settings: "RunSettings"
) -> None:
    import msgspec

    from sightflow.cli import console
    from sightflow.faces import compare

    with console.without_native_noise():
        (found,) = compare([(files[0], files[1])], models, threshold, settings)
    told = {
        **msgspec.to_builtins(found),
        "threshold": threshold.similarity,
        "false_accept_rate": threshold.false_accept_rate,
        "measured_on": threshold.data,
    }
    click.echo(msgspec.json.encode(told))


def _compare_pairs(options: dict[str, Any]) -> None:
    from sightflow.faces import compare, read_pairs, write_comparisons
    from sightflow.storage.drafts import check_files

    check_files([options["out"]], overwrite=options["overwrite"])
    rows, columns = read_pairs(options["pairs"])
    pairs = [(row["file_a"], row["file_b"]) for row in rows]
    models, settings = _prepared(options, len({file for pair in pairs for file in pair}))
    threshold = _threshold(models, options)
    with _watched("faces compare", options) as on_progress:
        found = compare(
            pairs, models, threshold, settings, root=options["root"], on_progress=on_progress
        )
    write_comparisons(options["out"], rows, columns, found)
    if not options["quiet"]:
        n_scores = sum(one.score is not None for one in found)
        n_same = sum(bool(one.same) for one in found)
        print(
            f"{len(found)} pairs: {n_scores} compared, {n_same} the same person, from a similarity "
            f"of {threshold.similarity:g} on; measured on: {threshold.data}\n"
            f"wrote {options['out']}",
            file=sys.stderr,
        )


@faces.command("enrol")
@_gallery_argument
@_folder_argument
@click.option("--person", metavar="NAME", help="Whose pictures all are [the name of each folder].")
@click.option("--largest", is_flag=True, help="Of several faces take the main one; else: reject.")
@click.option("--thumbnails", is_flag=True, help="Keep a small picture of each face.")
@_describing_options
def enrol_people(gallery: Path, directory: str, **options: Any) -> None:
    """Put people into a GALLERY: DIRECTORY has a folder of pictures for each.

    With SIGHTFLOW_GALLERY_KEY set, a new gallery is encrypted.
    """
    models, settings = _prepared(options, _count(directory))
    from sightflow.faces import enrol

    alike = [one.similarity for one in models.embedder.card.thresholds]
    with _watched("faces enrol", options) as on_progress:
        found = enrol(
            gallery,
            directory,
            models,
            settings,
            person_id=options["person"],
            several="take" if options["largest"] else "reject",
            thumbnails=options["thumbnails"],
            alike=max(alike, default=1.0),
            on_progress=on_progress,
        )
    for row in found.rejected:
        print(f"rejected {row['uri']}: {row['reason']}: {row['message']}", file=sys.stderr)
    for one in found.alike:
        print(
            f"{one.uri}: looks like {one.other_id} ({one.similarity:.2f}); is it {one.person_id}?",
            file=sys.stderr,
        )
    if not options["quiet"]:
        print(
            f"{gallery}: version {found.version}; {found.n_faces} faces of {found.n_people} people "
            f"from {directory}, {len(found.rejected)} pictures rejected",
            file=sys.stderr,
        )


@faces.command("list")
@_gallery_argument
@_json_option
def list_people(gallery: Path, *, as_json: bool) -> None:
    """List who is enrolled in a GALLERY, how many faces, and since when."""
    from sightflow.faces.listing import COLUMNS, list_gallery

    rows = list_gallery(gallery)
    if as_json:
        import json

        for row in rows:
            click.echo(json.dumps(row))
        return
    from sightflow.cli import console

    console.print_table(COLUMNS, [[str(row[name]) for name in COLUMNS] for row in rows])


@faces.command("forget")
@_gallery_argument
@click.argument("person")
def forget_person(gallery: Path, person: str) -> None:
    """Remove all that there is of a PERSON from a GALLERY; running jobs forget them too."""
    from sightflow.storage.galleryfile import GalleryFile

    n_faces = GalleryFile(gallery).forget(person)
    print(f"{gallery}: {n_faces} faces are gone", file=sys.stderr)


@faces.command("encrypt")
@_gallery_argument
def encrypt_gallery(gallery: Path) -> None:
    """Encrypt a GALLERY with the key in SIGHTFLOW_GALLERY_KEY."""
    from sightflow.storage.galleryfile import GalleryFile

    GalleryFile(gallery).encrypt()
    print(f"{gallery}: is encrypted", file=sys.stderr)


@faces.command("identify")
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
@_far_option
@click.option(
    "--min-margin", cls=FieldOption, field=f"{_IDENTIFY}.min_margin", type=click.FloatRange(0, 2)
)
@click.option("--track", is_flag=True, help="Follow faces, and name each track once by its best.")
@click.option("--annotate", type=click.Path(), help="Folder for pictures, or .mp4 with --track.")
@click.option("--blur", is_flag=True, help="With --annotate: blur everyone who is not enrolled.")
@click.option(
    "--min-score", cls=FieldOption, field=f"{_DETECT}.min_score", type=click.FloatRange(0, 1)
)
@_model_options
@reading_options()
@run_options
def identify_faces(**options: Any) -> None:
    """Find faces in pictures and videos, and say whose they are.

    Who is not enrolled stays unknown: `person_id` is null.
    """
    _check_identify(options)
    get_ready(options)
    models = _models(options)
    pipeline = _identifying(source_of(options), models, options)
    run_to_out(pipeline, options)


def _check_identify(options: Mapping[str, Any]) -> None:
    if options["blur"] and not options["annotate"]:
        raise click.UsageError("--blur goes with --annotate")
    if (options["annotate"] or "").endswith(".mp4") and not options["track"]:
        raise click.UsageError("--annotate NAME.mp4 goes with --track; without it name a folder")


def _identifying(source: Any, models: "FaceModels", options: Mapping[str, Any]) -> "Pipeline":
    """Return the steps and sinks of `identify`."""
    from sightflow.errors import GalleryError
    from sightflow.pipeline import Pipeline
    from sightflow.storage.galleryfile import GalleryFile
    from sightflow.tasks.gallery import Gallery
    from sightflow.tasks.identify import Identify
    from sightflow.tasks.identify_tracks import IdentifyTracks
    from sightflow.tasks.track import Track

    folder = options["gallery"]
    facts, embedder = GalleryFile(folder).facts(), models.embedder
    if (facts.model, facts.model_version) != (embedder.card.name, embedder.version):
        raise GalleryError(
            f"{folder}: has embeddings of {facts}; --embedder is {embedder.card.name} "
            f"{embedder.version}; take the model that the gallery was made with"
        )
    gallery, similarity = Gallery(str(folder)), options["min_similarity"]
    if similarity is None:
        similarity = embedder.card.threshold_for(options["far"]).similarity
    identify = Identify(gallery, min_similarity=similarity, **given(options, "min_margin"))
    pipeline = models.apply(
        Pipeline(source, name="sightflow faces identify"), **given(options, "min_score")
    ).apply("identify", identify)
    if options["track"]:
        pipeline = pipeline.apply("track", Track(of="faces"))
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


@faces.command("calibrate")
@_folder_argument
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="Folder for a page, the figures, and the model with its thresholds on its card.",
)
@_far_option
@_describing_options
@overwrite_option
def calibrate_faces(directory: str, out: Path, **options: Any) -> None:
    """Measure how well the people in DIRECTORY are told apart, a folder of pictures for each.

    OUT/NAME.onnx is then the embedder with the thresholds for such pictures:
    `--embedder OUT/NAME.onnx`.
    """
    from sightflow.storage.drafts import check_folder

    check_folder(out, overwrite=options["overwrite"])
    models, settings = _prepared(options, _count(directory))
    from sightflow.cli import console
    from sightflow.faces import calibrate, write_calibration

    with _watched("faces calibrate", options) as on_progress:
        found = calibrate(directory, models, settings, on_progress=on_progress)
    chosen = [one for one in found.thresholds if one.false_accept_rate == options["far"]]
    files = write_calibration(found, out, chosen[0] if chosen else None)
    console.print_table(*found.table())
    if not chosen:
        print(
            f"no threshold for --far {options['far']:g}: that takes more pairs of different "
            "people; the page marks that of the equal error rate",
            file=sys.stderr,
        )
    if not options["quiet"]:
        for path in files.values():
            print(f"wrote {path}", file=sys.stderr)


def _prepared(options: dict[str, Any], n_pictures: int) -> "tuple[FaceModels, RunSettings]":
    """Return the models and the settings of a call; Java begins to start if it is needed."""
    few = n_pictures <= _FEW and not options["workers"]
    runner: Any = options["runner"] or ("inline" if few else "flink")
    if runner == "flink":
        from sightflow.flink.gateway import start_in_background

        start_in_background()
    from sightflow.settings import RunSettings

    settings = RunSettings(runner=runner, **given(options, "workers"))
    return _models(options), settings


def _count(directory: str) -> int:
    """Return how many files there are."""
    from sightflow.sources.directory import Directory

    return sum(1 for _ in Directory(directory).claims())


def _models(options: Mapping[str, Any]) -> "FaceModels":
    """Return the models of a call."""
    from sightflow.faces import FaceModels
    from sightflow.models import find_model

    models: dict[str, Any] = given(options, "detector", "aligner", "embedder")
    for name, model in models.items():
        models[name] = None if (name, model) == ("aligner", "none") else find_model(model)
    return FaceModels(**models)


def _threshold(models: "FaceModels", options: Mapping[str, Any]) -> "Threshold":
    """Return the threshold of a call: a number, or that of the card for a false accept rate."""
    from sightflow.models import Threshold

    if options["threshold"] is None:
        return models.embedder.card.threshold_for(options["far"])
    return Threshold(options["threshold"], float("nan"), float("nan"))


@contextmanager
def _watched(name: str, options: Mapping[str, Any]) -> Iterator[Any]:
    """Give what shows how far a run is."""
    from sightflow.cli import console

    with (
        console.without_native_noise() as stderr,
        console.notes(stderr=stderr),
        console.progress(f"sightflow {name}", stderr=stderr, quiet=options["quiet"]) as (show, _),
    ):
        yield show
