"""Test detections on the stream: each image is a test before anybody has learned from it."""

from dataclasses import dataclass, replace
from typing import ClassVar

from sightflow.errors import PipelineError
from sightflow.learn.object_evaluation import ObjectEvaluation
from sightflow.options import check_count, check_number, check_share
from sightflow.protocols import Context, SourceFacts

__all__ = ["EvaluateObjects"]


@dataclass(frozen=True)
class EvaluateObjects:
    """Hold the objects that an earlier step has found against those that are in the images.

    Images pass unchanged; those of which nobody has told the objects are not tested. Those that are
    held out are tested apart: an uninterrupted run of them is one test. Events tell the result:

    - `evaluated`: the figures so far; `tested`: the figures of one test;
    - at the end, of all images (`held_out` 0) and of the last test (`held_out` 1): `scored` for
      each class.
    """

    labels: tuple[str, ...] = ()
    """The classes. Objects with another label are counted and otherwise ignored, detections with
    another one are left out. Empty: those that the source lists."""
    min_iou: float = 0.5
    """From which overlap on a detection has found an object, for precision and recall, in (0, 1]:
    intersection over union. Mean average precision has its own."""
    min_score: float = 0.5
    """From which score on a detection counts for precision and recall, in [0, 1]. Mean average
    precision takes all that there are."""
    every: int = 500
    """Images with known objects between events of the kind `evaluated`."""

    gives: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[tuple[str, ...]] = ("detections",)
    takes: ClassVar[tuple[str, ...]] = ()
    word_options: ClassVar[tuple[str, ...]] = ("labels",)

    @property
    def preparation(self) -> None:
        """Nothing works before it."""

    def check(self) -> None:
        """Refuse a test that cannot work."""
        check_count(self, "every", at_least=1)
        check_number(self, "min_iou", within="(0, 1]")
        check_share(self, "min_score")
        if not self.labels or len(set(self.labels)) < len(self.labels):
            raise PipelineError(
                "EvaluateObjects: `labels` are one or more different words; got "
                f"{list(self.labels)}; give them, or a source whose images come with objects, such "
                "as Annotated"
            )

    @property
    def lacks_facts(self) -> bool:
        """Whether the classes are to be those of the source."""
        return not self.labels

    def with_facts(self, facts: SourceFacts) -> "EvaluateObjects":
        """Return the same, with the labels of the source where it has none."""
        return replace(self, labels=self.labels or facts.object_labels)

    def open_learner(self, context: Context, snapshot: bytes | None) -> ObjectEvaluation:
        """Return the test, from its beginning or from a snapshot of it."""
        return ObjectEvaluation(self, context, snapshot)
