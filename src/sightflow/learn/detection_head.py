"""A head that finds objects, on the maps of a detector whose trunk stays as it is."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from sightflow.errors import CardError, PipelineError
from sightflow.learn.optimiser import Optimiser
from sightflow.models import ModelFile, zoo
from sightflow.ops.preprocess import Preprocess
from sightflow.options import check_count, check_share
from sightflow.tasks.prepare import Prepare

if TYPE_CHECKING:
    from sightflow.learn.torch_detector import TrainableDetector

__all__ = ["DetectionHead"]


@dataclass(frozen=True)
class DetectionHead:
    """Layers that find objects of new classes, on the maps of a detector; needs PyTorch."""

    model: ModelFile = field(default_factory=lambda: zoo("nanodet"))
    """Makes the maps, which its card names; it is not trained."""
    width: int = 64
    """Channels of each layer."""
    depth: int = 2
    """Convolutions in a row at each stride, before the last layer."""
    bins: int = 12
    """A side of a box is less than so many strides away from its cell."""
    min_score: float = 0.05
    """Objects that score less are left out, in [0, 1]."""
    max_iou: float = 0.6
    """Of two objects of one class that overlap more than this, the better one stays."""
    max_objects: int = 100
    """At most this many objects of an image are kept, the best ones; from 1."""

    takes: ClassVar[str] = "prepared"

    @property
    def preprocess(self) -> Preprocess:
        """Makes the model's input, but for mean and deviation."""
        return replace(self.model.card.input.preprocess, mean=None, std=None, layout="CHW")

    @property
    def preparation(self) -> Prepare:
        """The step that makes the pictures, uint8 [H, W, 3]."""
        return Prepare(self.preprocess)

    def check(self) -> None:
        """Refuse what cannot be, a model without such maps, and a missing PyTorch."""
        check_count(self, "width", "depth", "max_objects", at_least=1)
        check_count(self, "bins", at_least=2)
        check_share(self, "min_score", "max_iou")
        card = self.model.card
        if not card.maps:
            raise CardError(
                f"model {card.name!r} names no `maps` on its card; add, for strides, the values of "
                "its graph to learn from, or take another model"
            )
        if card.input.preprocess.size is None or card.input.preprocess.layout != "CHW":
            raise PipelineError(
                f"DetectionHead: `model` takes pictures of one size, [3, H, W]; {card.name!r} "
                f"takes {card.input.preprocess}"
            )
        self.model.check_file()
        self.open(1, (), Optimiser(), 0)

    def open(
        self, n_classes: int, shape: tuple[int, ...], optimiser: Optimiser, seed: int
    ) -> "TrainableDetector":
        """Return the head with random weights."""
        from sightflow.learn.torch_detector import TrainableDetector

        return TrainableDetector(self, n_classes, optimiser, seed)
