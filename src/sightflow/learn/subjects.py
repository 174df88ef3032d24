"""What a network learns of images: which class each is of, or where its objects are."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

import numpy as np
import numpy.typing as npt

from sightflow.errors import PipelineError
from sightflow.learn.compose import Compose
from sightflow.learn.network import ObjectNetwork, Truth
from sightflow.metrics.matching import match_boxes
from sightflow.ops.augment import Augment
from sightflow.ops.scores import best_of
from sightflow.records import Classification, Detections, ImageRecord, LabelledObject, Origin
from sightflow.tasks.detect import detections_of
from sightflow.tasks.heads import Found

if TYPE_CHECKING:
    from sightflow.learn.train import Train

__all__ = ["Subject", "open_subject"]

_RIGHT_SCORE, _RIGHT_IOUS = 0.5, np.array([0.5])
"""From which score on an object counts as found, and from which overlap on as the right one."""


class Subject(Protocol):
    """What is learned, as a training needs to know of it."""

    may_come_later: ClassVar[bool]
    """Whether the truth of an image may come after it, as a label may."""

    def unknown(self, origin: Origin) -> str | None:
        """Return why nobody could learn from an image; None where one can, or it has no label."""

    def truth(self, record: ImageRecord) -> Truth | None:
        """Return what is true of the input of an image; None where nobody has told."""

    def group(self, truth: Truth) -> int:
        """Return the class whose share of a memory an image takes."""

    def found(self, record: ImageRecord, said: Any) -> ImageRecord:
        """Return an image with what a network says of its input."""

    def is_right(self, record: ImageRecord) -> bool:
        """Return whether what was found in an image is right; its truth is known."""

    def changed(
        self, inputs: npt.NDArray[Any], truths: Sequence[Truth], rng: np.random.Generator
    ) -> tuple[npt.NDArray[Any], Any]:
        """Return a batch as it is learned from: inputs [B, ...], and truths as `learn` takes them.

        All that is drawn is drawn from `rng`.
        """


def open_subject(how: "Train") -> Subject:
    """Return what a training is about."""
    if isinstance(how.network, ObjectNetwork):
        return _Objects(how, how.network)
    return _Classes(how)


class _Classes:
    """Each image is of one class."""

    may_come_later: ClassVar[bool] = True

    def __init__(self, how: "Train") -> None:
        self._labels, self._top_k, self._augment = how.labels, how.top_k, how.augment
        self._class_ids = {label: i for i, label in enumerate(how.labels)}

    def unknown(self, origin: Origin) -> str | None:
        if origin.label is None or origin.label in self._class_ids:
            return None
        return f"its label {origin.label!r} is none of {list(self._labels)}"

    def truth(self, record: ImageRecord) -> int | None:
        label = record.origin.label
        return None if label is None else self._class_ids[label]

    def group(self, truth: Truth) -> int:
        return cast("int", truth)

    def found(self, record: ImageRecord, said: npt.NDArray[np.float32]) -> ImageRecord:
        best = best_of(said, self._top_k)
        labels = tuple(self._labels[i] for i in best)
        return replace(
            record, classification=Classification(labels, best.astype(np.int32), said[best])
        )

    def is_right(self, record: ImageRecord) -> bool:
        found = record.classification
        return found is not None and found.labels[0] == record.origin.label

    def changed(
        self, inputs: npt.NDArray[Any], truths: Sequence[Truth], rng: np.random.Generator
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        if self._augment is not None:
            inputs = self._augment.apply(inputs, rng)
        return inputs, np.array(truths, np.int64)


class _Objects:
    """Each image has objects, each of one class; those of other classes are background."""

    may_come_later: ClassVar[bool] = False

    def __init__(self, how: "Train", network: ObjectNetwork) -> None:
        self._labels, self._network = how.labels, network
        self._class_ids = {label: i for i, label in enumerate(how.labels)}
        self._augment = how.augment or Augment()
        compose = how.compose or Compose(mosaic=0)
        self._composer = compose.open(how.labels, bgr=network.preprocess.channels == "BGR")

    def unknown(self, origin: Origin) -> str | None:
        return None

    def truth(self, record: ImageRecord) -> npt.NDArray[np.float32] | None:
        if record.origin.objects is None:
            return None
        known = [one for one in record.origin.objects if one.label in self._class_ids]
        placement = self._network.preprocess.placement_for(record.width, record.height)
        rows = np.zeros((len(known), 5), np.float32)
        if known:
            boxes = np.array([one.box_xyxy for one in known], np.float32)
            rows[:, :4] = placement.from_source(boxes)
            rows[:, 4] = [-1 if one.ignored else self._class_ids[one.label] for one in known]
        return rows

    def group(self, truth: Truth) -> int:
        """Return the class of the smallest object, which is the hardest; -1 without any."""
        objects = cast("npt.NDArray[np.float32]", truth)
        areas = np.prod(objects[:, 2:4] - objects[:, :2], axis=1)
        return int(objects[areas.argmin(), 4]) if len(objects) else -1

    def found(self, record: ImageRecord, said: Found) -> ImageRecord:
        return replace(
            record,
            detections=detections_of(
                said,
                self._network.preprocess.placement_for(record.width, record.height),
                size=(record.width, record.height),
                max_iou=self._network.max_iou,
                max_objects=self._network.max_objects,
                name_classes=lambda class_ids: tuple(self._labels[i] for i in class_ids.tolist()),
            ),
        )

    def is_right(self, record: ImageRecord) -> bool:
        """Return whether all objects were found, and nothing else."""
        found, objects = record.detections, record.origin.objects
        if found is None or objects is None:
            raise PipelineError("an image was neither recognised nor annotated")
        sure = found.take(found.scores >= _RIGHT_SCORE)
        return all(_all_found(sure, objects, label) for label in self._labels)

    def changed(
        self, inputs: npt.NDArray[Any], truths: Sequence[Truth], rng: np.random.Generator
    ) -> tuple[npt.NDArray[Any], list[npt.NDArray[np.float32]]]:
        objects = [cast("npt.NDArray[np.float32]", truth) for truth in truths]
        inputs, objects = self._composer.compose(inputs, objects, rng)
        inputs, objects = self._augment.apply_to_objects(inputs, objects, rng)
        return self._composer.worsen(inputs, rng), objects


def _all_found(found: Detections, objects: Sequence[LabelledObject], label: str) -> bool:
    """Return whether all objects of a class were found, and nothing else of it."""
    boxes = found.boxes_xyxy[[one == label for one in found.labels]].astype(np.float64)
    own = [one for one in objects if one.label == label]
    truth = np.array([one.box_xyxy for one in own], np.float64).reshape(-1, 4)
    crowds = np.array([one.ignored for one in own], bool)
    hits, in_crowd = match_boxes(boxes, truth, crowds, _RIGHT_IOUS)
    return bool((hits | in_crowd).all() and hits.sum() == (~crowds).sum())
