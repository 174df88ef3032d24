"""Commands about faces: compare, enrol, list, forget, identify, calibrate."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sightflow.cli.fields import given
from sightflow.cli.identify import (
    chosen_models,
    face_model_options,
    far_of,
    far_option,
    identify_faces,
)
from sightflow.cli.options import (
    add_options,
    overwrite_option,
    quiet_option,
    runner_option,
    workers_option,
)

if TYPE_CHECKING:
    from sightflow.faces import FaceModels
    from sightflow.models import Threshold
    from sightflow.settings import RunSettings

__all__ = ["faces"]

_FEW = 16
"""So many pictures are described sooner than Java has started."""

_gallery_argument = click.argument("gallery", type=click.Path(file_okay=False, path_type=Path))
_folder_argument = click.argument("directory", type=click.Path(exists=True, file_okay=False))
_json_option = click.option("--json", "as_json", is_flag=True, help="As JSON.")


def _describing_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of commands that describe many pictures."""
    options = [
        runner_option("Embedded Flink, or this process (default for few pictures)."),
        workers_option("one a core"),
        quiet_option,
    ]
    return add_options(options)(face_model_options(command))


@click.group()
def faces() -> None:
    """Compare faces; enrol people, recognise them, and forget them.

    A gallery is a folder of this machine with the faces of people who are enrolled. Nothing of it
    leaves the machine. docs/how-to/faces.md says what to mind.
    """


faces.add_command(identify_faces)


@faces.command("compare")
@click.argument("files", nargs=-1, metavar="[A B]")
@click.option("--pairs", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="CSV with the columns file_a and file_b, instead of A and B.")  # fmt: skip
@click.option("--root", default="", metavar="DIR", help="Folder that the files of --pairs are in.")
@click.option("--out", type=click.Path(path_type=Path), help="With --pairs: CSV for the scores.")
@far_option
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
    far_of(options, instead="threshold")
    if bool(files) == bool(options["pairs"]):
        raise click.UsageError("give two pictures, A and B, or --pairs FILE")
    if files and len(files) != 2:
        raise click.UsageError(f"two pictures are compared; got {len(files)}; --pairs takes many")
    if bool(options["pairs"]) != bool(options["out"]):
        raise click.UsageError("--pairs and --out go together")
    if options["root"] and not options["pairs"]:
        raise click.UsageError("--root goes with --pairs")
    if options["out"] and options["out"].suffix != ".csv":
        raise click.UsageError(f"--out {options['out']}: the ending must be .csv")
    for file in files:
        if "://" not in file and not Path(file).is_file():
            raise click.UsageError(f"{file}: no such file")


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
    from sightflow.errors import SourceError
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
            unlike=min(alike, default=-1.0),
            on_progress=on_progress,
        )
    for row in found.rejected:
        print(f"rejected {row['uri']}: {row['reason']}: {row['message']}", file=sys.stderr)
    for one in found.unlike:
        print(
            f"{one.uri}: is unlike the other pictures of {one.person_id} ({one.similarity:.2f}); "
            "is it the same person, and a face?",
            file=sys.stderr,
        )
    for like in found.alike:
        print(
            f"{like.uri}: looks like {like.other_id} ({like.similarity:.2f}); "
            f"is it {like.person_id}?",
            file=sys.stderr,
        )
    if not found.n_faces:
        raise SourceError(f"{directory}: has no picture that can be enrolled")
    if not options["quiet"]:
        print(
            f"{gallery}: {found.n_new} new faces; {directory} has {found.n_faces} faces of "
            f"{found.n_people} people, {len(found.rejected)} pictures rejected",
            file=sys.stderr,
        )


@faces.command("list")
@_gallery_argument
@click.option("--pictures", is_flag=True, help="A line for each picture.")
@_json_option
def list_enrolled(gallery: Path, *, pictures: bool, as_json: bool) -> None:
    """List who is enrolled in a GALLERY, how many faces, and since when."""
    from sightflow.faces import listing

    columns = listing.PICTURES if pictures else listing.PEOPLE
    rows = listing.list_pictures(gallery) if pictures else listing.list_people(gallery)
    if as_json:
        import json

        for row in rows:
            click.echo(json.dumps(row))
        return
    from sightflow.cli import console

    console.print_table(columns, [[str(row[name]) for name in columns] for row in rows])


@faces.command("forget")
@_gallery_argument
@click.argument("person")
@click.option("--picture", metavar="FILE", help="Only this one, as `faces list --pictures` has it.")
def forget_person(gallery: Path, person: str, picture: str | None) -> None:
    """Remove all that there is of a PERSON from a GALLERY; running jobs forget them too."""
    from sightflow.faces import uri_of
    from sightflow.storage.galleryfile import GalleryFile

    uri = None if picture is None else uri_of(picture)
    n_faces = GalleryFile(gallery).forget(person, uri=uri)
    gone = "1 face is gone" if n_faces == 1 else f"{n_faces} faces are gone"
    print(
        f"{gallery}: {gone}; the pictures stay where they are: enrolling them brings it back",
        file=sys.stderr,
    )


@faces.command("encrypt")
@_gallery_argument
def encrypt_gallery(gallery: Path) -> None:
    """Encrypt a GALLERY with the key in SIGHTFLOW_GALLERY_KEY."""
    from sightflow.storage.galleryfile import GalleryFile

    GalleryFile(gallery).encrypt()
    print(f"{gallery}: is encrypted", file=sys.stderr)


@faces.command("calibrate")
@_folder_argument
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="Folder for a page, the figures, and the model with its thresholds on its card.",
)
@far_option
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
    far = far_of(options)
    chosen = [one for one in found.thresholds if one.false_accept_rate == far]
    files = write_calibration(found, out, chosen[0] if chosen else None)
    console.print_table(*found.table())
    if not chosen:
        print(
            f"no threshold for --far {far:g}: that takes more pairs of different "
            "people; the page marks that of the equal error rate, and a call with this model needs "
            "another --far, or a similarity of its own",
            file=sys.stderr,
        )
    for one in found.broken_promises:
        print(
            f"a threshold for {one.asked_far:g} that was chosen on half of the people accepts "
            f"{one.far:.2g} of the others: take more people, or a smaller --far",
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
    return chosen_models(options), settings


def _count(directory: str) -> int:
    """Return how many files there are."""
    from sightflow.sources.directory import Directory

    return sum(1 for _ in Directory(directory).claims())


def _threshold(models: "FaceModels", options: Mapping[str, Any]) -> "Threshold":
    """Return the threshold of a call: a number, or that of the card for a false accept rate."""
    from sightflow.models import Threshold
    from sightflow.tasks.model_step import check_model

    check_model(models.embedder, task="embed_faces")
    if options["threshold"] is None:
        return models.embedder.card.threshold_for(far_of(options))
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
