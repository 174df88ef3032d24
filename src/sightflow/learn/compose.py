"""Images to learn objects from, put together of others and of cut-outs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sightflow.errors import PipelineError, SightflowError
from sightflow.ops.decode import decode_cutout
from sightflow.ops.mosaic import mosaic, paste, worsen
from sightflow.ops.moving import Objects
from sightflow.options import check_count, check_share
from sightflow.sources.directory import Directory
from sightflow.sources.labelled import Labelled
from sightflow.storage.files import Reader

__all__ = ["Compose", "Composer"]

Pixels = npt.NDArray[np.uint8]
Batch = tuple[npt.NDArray[Any], list[Objects]]


@dataclass(frozen=True)
class Compose:
    """How images with objects are put together before a detector learns from them."""

    mosaic: float = 0.5
    """Share of images that become a mosaic with three others of their batch."""
    cutouts: str | None = None
    """Folder, archive or URL of PNG files with transparency, in a folder for each class, that are
    pasted where no object is; each class as often. None: nothing is pasted."""
    pasted: float = 0.5
    """Share of images into which something is pasted."""
    n_pasted: int = 3
    """At most so many in one image."""
    sides: tuple[float, float] = (0.03, 0.3)
    """Shortest and longest side of what is pasted, as a part of the image's."""
    worse: float = 0.0
    """Share of images that are blurred, compressed, or noisy."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        check_share(self, "mosaic", "pasted", "worse")
        check_count(self, "n_pasted", at_least=1)
        if not 0 < self.sides[0] <= self.sides[1] <= 1:
            raise PipelineError(
                "Compose: `sides` are the shortest and the longest side, in (0, 1]; "
                f"got {list(self.sides)}"
            )

    def open(self, labels: Sequence[str], *, bgr: bool = False) -> "Composer":
        """Return what does it, with the cut-outs of these classes.

        Raises:
            PipelineError: there are none of them, or one cannot be read.
            SourceError: there is no such place.
        """
        return Composer(self, self._cutouts(labels, bgr=bgr))

    def _cutouts(self, labels: Sequence[str], *, bgr: bool) -> Mapping[int, Sequence[Pixels]]:
        if self.cutouts is None:
            return {}
        reader, found = Reader(), dict[int, list[Pixels]]()
        for claim in Labelled(Directory(self.cutouts, pattern="*.png")).claims():
            if claim.origin.label in labels:
                cutout = _read(reader, claim.origin.uri)
                cutout = cutout[..., [2, 1, 0, 3]] if bgr else cutout
                found.setdefault(labels.index(claim.origin.label), []).append(cutout)
        if not found:
            raise PipelineError(
                f"Compose: `cutouts` has PNG files in a folder for each class; {self.cutouts} has "
                f"none of {list(labels)}"
            )
        return found


def _read(reader: Reader, uri: str) -> Pixels:
    try:
        return decode_cutout(reader.read_all(uri))
    except (OSError, SightflowError) as error:
        raise PipelineError(f"Compose: `cutouts`: {uri}: {error}") from error


class Composer:
    """Puts images together; all that it draws is drawn from the generator of the step."""

    def __init__(self, how: Compose, cutouts: Mapping[int, Sequence[Pixels]]) -> None:
        """Take cut-outs, uint8 [h, w, 4], by the number of their class."""
        self._how, self._cutouts = how, cutouts

    def compose(
        self, images: npt.NDArray[Any], objects: Sequence[Objects], rng: np.random.Generator
    ) -> Batch:
        """Return images, uint8 [B, H, W, 3], put together, and the objects of each."""
        whole, kept = images.copy(), list(objects)
        for i in range(len(images)):
            if rng.random() < self._how.mosaic:
                rows = [i, *rng.integers(0, len(images), 3).tolist()]
                rng.shuffle(rows)
                parts = [images[row] for row in rows], [objects[row] for row in rows]
                whole[i], kept[i] = mosaic(*parts, rng)
            if self._cutouts and rng.random() < self._how.pasted:
                for _ in range(int(rng.integers(1, self._how.n_pasted + 1))):
                    kept[i] = self._paste(whole[i], kept[i], rng)
        return whole, kept

    def worsen(self, images: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[Any]:
        """Return images, of which some are as a worse camera would give them."""
        for i in np.flatnonzero(rng.random(len(images)) < self._how.worse).tolist():
            images[i] = worsen(images[i], rng)
        return images

    def _paste(self, image: Pixels, objects: Objects, rng: np.random.Generator) -> Objects:
        class_ids = sorted(self._cutouts)
        class_id = class_ids[int(rng.integers(len(class_ids)))]
        cutouts = self._cutouts[class_id]
        cutout = cutouts[int(rng.integers(len(cutouts)))]
        shortest, longest = np.log(self._how.sides)
        side = float(np.exp(rng.uniform(shortest, longest))) * min(image.shape[:2])
        side = min(side, _MAX_ENLARGED * max(cutout.shape[:2]))
        return paste(image, objects, cutout, class_id, side=side, rng=rng)


_MAX_ENLARGED = 1.5
"""By how much a cut-out is enlarged at most: what is blurred is none to learn from."""
