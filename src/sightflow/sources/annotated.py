"""Images with the objects that are in them, as annotations in the form of COCO tell it."""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import msgspec

from sightflow.errors import PipelineError, SourceError
from sightflow.protocols import Context, Read, Source, given_by
from sightflow.records import Claim, LabelledObject
from sightflow.sources.endings import Endings
from sightflow.storage.files import Reader

__all__ = ["Annotated"]


class _Image(msgspec.Struct):
    id: int
    file_name: str


class _Category(msgspec.Struct):
    id: int
    name: str


class _Annotation(msgspec.Struct):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    """x, y, width, height."""
    iscrowd: int | None = 0


class _File(msgspec.Struct):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Annotation]


# Made here, as one thread must make the plan of msgspec for a type: see `records.state`.
_FILES = msgspec.json.Decoder(_File)


@dataclass(frozen=True)
class Annotated:
    """The images of a source, each with the objects that are in it, where somebody has told."""

    source: Source
    file: str
    """A JSON file in the form of COCO: `images`, `categories` and `annotations` with boxes. An
    image is found by its `file_name`, or the end of its path; a crowd is ignored."""
    held_out: bool = False
    """Whether networks are tested with these images and never learn from them."""

    def __post_init__(self) -> None:
        """Refuse a stream."""
        if not callable(getattr(self.source, "claims", None)):
            raise PipelineError(
                f"Annotated: `source` lists its images; got {self.source!r}; a stream has no "
                "annotations"
            )

    @property
    def gives(self) -> tuple[str, ...] | None:
        """What its source gives."""
        return given_by(self.source)

    def claims(self) -> Iterator[Claim]:
        """List the images.

        Raises:
            SourceError: the file cannot be read, or names none of the images.
        """
        claims = list(self.source.claims())
        objects = Endings(_objects(self.file))
        n_found, last = 0, ""
        for claim in claims:
            found, last = objects.of(claim.origin.uri), claim.origin.uri
            n_found += found is not None
            origin = replace(claim.origin, objects=found, held_out=self.held_out)
            yield replace(claim, origin=origin)
        if last and not n_found:
            raise SourceError(
                f"{self.file}: names none of the images, such as {last}; a `file_name` is the end "
                "of the path of an image"
            )

    def open(self, context: Context) -> Read:
        """Return the function of the source itself."""
        return self.source.open(context)


def _objects(path: str) -> Mapping[str, tuple[LabelledObject, ...]]:
    """Return the objects of each image, by its file name.

    Raises:
        SourceError: the file cannot be read, or is not of this form.
    """
    try:
        file = _FILES.decode(Reader().read_all(path))
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise SourceError(
            f"{path}: is not in the form of COCO, with `images`, `categories` and `annotations`: "
            f"{error}"
        ) from error
    names = {category.id: category.name for category in file.categories}
    of_name = dict[str, list[LabelledObject]]()
    found = {image.id: of_name.setdefault(_plain(image.file_name), []) for image in file.images}
    for i, one in enumerate(file.annotations):
        if one.image_id not in found or one.category_id not in names:
            raise SourceError(
                f"{path}: annotations[{i}] is of image {one.image_id}, category {one.category_id}; "
                "`images` and `categories` must have them"
            )
        x, y, width, height = one.bbox
        if width > 0 and height > 0:
            box = x, y, x + width, y + height
            found[one.image_id].append(
                LabelledObject(names[one.category_id], box, bool(one.iscrowd))
            )
    return {name: tuple(objects) for name, objects in of_name.items()}


def _plain(file_name: str) -> str:
    return posixpath.normpath(file_name)
