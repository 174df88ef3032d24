"""Networks of PyTorch that are trained on the stream: a small one from scratch, or any module.

PyTorch is an extra, `pip install 'sightflow[train]'`; it is imported only when a network is checked
or opened.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from sightflow.errors import ModelError, PipelineError, SightflowError
from sightflow.learn import torch_modules
from sightflow.learn.optimiser import Optimiser
from sightflow.learn.torch_training import TrainableModule
from sightflow.ops.preprocess import Preprocess
from sightflow.options import check_count, check_number
from sightflow.tasks.prepare import Prepare

__all__ = ["ConvNet", "Pretrained", "TorchNetwork"]


@dataclass(frozen=True)
class ConvNet:
    """A small convolutional network that begins with random weights."""

    preprocess: Preprocess = field(default_factory=lambda: Preprocess(stretch=(32, 32)))
    """Makes the input; `mean` and `std` are applied inside the network."""
    width: int = 24
    """Channels of the first layer; the others have 2 and 4 times as many."""
    depth: int = 1
    """Convolutions in a row at each size but the first: 2 takes twice the time."""
    dropout: float = 0.1
    """Part of the numbers before each of the last two layers that a step leaves out, in [0, 1)."""
    standardise: bool = True
    """Each image is brought to mean 0 and deviation 1: light and contrast do not matter."""
    label_smoothing: float = 0.0
    """Part of the target that is spread over all classes, in [0, 1)."""

    takes: ClassVar[str] = "prepared"

    @property
    def preparation(self) -> Prepare:
        """The step that makes the pictures."""
        return self._network.preparation

    def check(self) -> None:
        """Refuse what cannot be, pictures that are too small, and a missing PyTorch."""
        check_count(self, "width", "depth", at_least=1)
        check_number(self, "dropout", "label_smoothing", within="[0, 1)")
        if min(self.preprocess.size or (8,)) < 8:
            raise PipelineError(
                "ConvNet: pictures have 8 x 8 pixels or more, for each pooling halves them; "
                f"`preprocess` makes {self.preprocess.size}"
            )
        self._network.check()

    def open(
        self, n_classes: int, shape: tuple[int, ...], optimiser: Optimiser, seed: int
    ) -> TrainableModule:
        """Return the network with random weights."""
        return self._network.open(n_classes, shape, optimiser, seed)

    @property
    def _network(self) -> "TorchNetwork":
        height, width = self.preprocess.size or (0, 0)
        return TorchNetwork(
            f"{torch_modules.__name__}:conv_net",
            self.preprocess,
            {
                "size": (height, width),
                "width": self.width,
                "dropout": self.dropout,
                "depth": self.depth,
            },
            standardise=self.standardise,
            channels_last=True,
            loss_options={"label_smoothing": self.label_smoothing},
        )


@dataclass(frozen=True)
class Pretrained:
    """First weights from a file, and how freely they change.

    A part of a network is named as its tensors are: `layer1` is `layer1.0.conv1.weight` too.
    """

    path: str
    """A file of safetensors, or of `torch.save` with nothing but tensors by name."""
    head: tuple[str, ...] = ()
    """Parts that are new: the file's tensors of these names are not taken."""
    frozen: tuple[str, ...] = ()
    """Parts that stay as they are, the statistics of their batch norms too."""
    rate: float = 1.0
    """Learning rate of all but the head, as a part of the optimiser's."""

    def __post_init__(self) -> None:
        """Refuse a rate that is none."""
        check_number(self, "rate", within="(0, inf)")


@dataclass(frozen=True)
class TorchNetwork:
    """A `torch.nn.Module` of any package, from float32 [B, 3, H, W] to logits [B, classes].

    The first three fields serve for a network from scratch; `pretrained` makes it fine-tuning.
    """

    module: str
    """`package.module:function`, called with `num_classes` and the options: a class will do, or
    `torchvision.models:resnet18`."""
    preprocess: Preprocess
    """Makes the input; `mean` and `std` are applied inside the network, samples are 0 to 255."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the function."""
    pretrained: Pretrained | None = None
    """None: the module's own first weights."""
    standardise: bool = False
    """Each image is brought to mean 0 and deviation 1, in place of `mean` and `std`."""
    channels_last: bool = False
    """The module is computed in this order of axes: faster, where it does without `view`."""
    loss: str = "torch.nn.functional:cross_entropy"
    """`package.module:function` of logits [B, classes] and class ids int64 [B]: a mean loss."""
    loss_options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments, such as `label_smoothing`."""
    optimiser: str | None = None
    """`package.module:Class`, a `torch.optim.Optimizer` that takes groups of parameters; None: the
    rule of the training's optimiser. Rates, decay and averages are of that in any case."""
    optimiser_options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments."""

    takes: ClassVar[str] = "prepared"

    @property
    def preparation(self) -> Prepare:
        """The step that makes the pictures, uint8 [H, W, 3]."""
        return Prepare(replace(self.preprocess, mean=None, std=None, layout="CHW"))

    def check(self) -> None:
        """Make one step with grey pictures of two classes.

        Raises:
            SetupError: PyTorch is missing.
            PipelineError, ModelError: a name, an option or a file does not fit.
        """
        if self.preprocess.size is None:
            raise PipelineError(
                f"TorchNetwork: pictures have one size; got {self.preprocess}; give `preprocess` "
                "a `stretch`, `letterbox` or `crop`"
            )
        if self.standardise and self.preprocess.normalizes:
            raise PipelineError(
                "TorchNetwork: `standardise` takes the place of `mean` and `std`; got both; leave "
                "one out"
            )
        if "num_classes" in self.options:
            raise PipelineError(
                "TorchNetwork: `options` has `num_classes`, which follows from the labels; leave "
                "it out"
            )
        n_classes = 2
        pictures = np.full((2, *self.preprocess.size, 3), 128, np.uint8)
        opened = self.open(n_classes, pictures.shape[1:], Optimiser(), 0)
        try:
            opened.learn(pictures, np.zeros(2, np.int64), 0)
            opened.predict(pictures)
        except SightflowError:
            raise
        except Exception as error:  # code of the user's
            raise ModelError(
                f"TorchNetwork: {self.module!r} must learn from float32 "
                f"{[2, 3, *self.preprocess.size]}; it failed: {error}"
            ) from error

    def open(
        self, n_classes: int, shape: tuple[int, ...], optimiser: Optimiser, seed: int
    ) -> TrainableModule:
        """Return the network with its first weights."""
        return TrainableModule(self, n_classes, optimiser, seed)
