"""A head of PyTorch that finds objects, in training on the maps of a trunk that stays."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sightflow.errors import CardError
from sightflow.learn.network import Exported
from sightflow.learn.optimiser import Optimiser
from sightflow.learn.torch_descent import ModuleInTraining, alone, grouped, onnx_of, own_rule
from sightflow.learn.torch_detection_loss import cells_of, detection_loss
from sightflow.learn.torch_modules import pytorch
from sightflow.models import ModelFile
from sightflow.models.graft import opset_of, trunk_of, with_graph
from sightflow.ops.preprocess import Preprocess
from sightflow.protocols import Inference, Model
from sightflow.tasks.heads import Found, NanoDet

if TYPE_CHECKING:
    from sightflow.learn.detection_head import DetectionHead

__all__ = ["TrainableDetector"]

_MAX_BATCH = 16
"""Pictures that go through the trunk at a time."""
_RARE = -4.6
"""Logit of a class in a cell at first: one cell in a hundred."""


class TrainableDetector(ModuleInTraining):
    """A detection head in training."""

    def __init__(
        self, how: "DetectionHead", n_classes: int, optimiser: Optimiser, seed: int
    ) -> None:
        """Cut the trunk off its model, and build the head for it."""
        torch = pytorch()
        self._how = how
        preprocess = how.model.card.input.preprocess
        self._size = preprocess.size or (0, 0)
        self._strides = sorted(how.model.card.maps)
        self._values = [how.model.card.maps[stride] for stride in self._strides]
        self._finish = Preprocess(mean=preprocess.mean, std=preprocess.std).compile()
        self._trunk = _load_trunk(how.model, self._values)
        grey = np.full((1, *self._size, 3), 128, np.uint8)
        maps = self._maps(grey)
        self._check_sizes([tuple(one.shape[2:]) for one in maps])
        channels = [one.shape[1] for one in maps]
        with alone(seed, 0):
            module = _layers(how, channels, n_classes)
        module.to(memory_format=torch.channels_last)
        super().__init__(module, own_rule(grouped(module, optimiser), optimiser), optimiser, seed)
        self._cells = cells_of(self._size, self._strides)

    def _said(self, module: Any, inputs: npt.NDArray[np.uint8]) -> list[Found]:
        found = list[Found]()
        for start in range(0, len(inputs), _MAX_BATCH):
            levels = module(self._maps(inputs[start : start + _MAX_BATCH]))
            names = (*self._reading.scores, *self._reading.distances)
            arrays = [logits.sigmoid() for logits, _ in levels] + [sides for _, sides in levels]
            outputs = {n: array.numpy() for n, array in zip(names, arrays, strict=True)}
            found.extend(self._reading(outputs, min_score=self._how.min_score))
        return found

    def _loss_of(
        self, inputs: npt.NDArray[np.uint8], truths: Sequence[npt.NDArray[np.float32]]
    ) -> Any:
        torch = pytorch()
        levels = self._module(self._maps(inputs))
        logits = torch.cat([logits for logits, _ in levels], dim=1)
        sides = torch.cat([sides for _, sides in levels], dim=1)
        return detection_loss(logits, sides, self._cells, [torch.tensor(one) for one in truths])

    def export(self) -> Exported:
        """Return the model with this head in place of its own."""
        torch = pytorch()
        module = self._predicting()

        class Whole(torch.nn.Module):  # type: ignore[name-defined, misc] # torch is an extra
            def __init__(self) -> None:
                super().__init__()
                self.module = module

            def forward(self, *maps: Any) -> Any:
                levels = self.module(maps)
                scores = [logits.sigmoid() for logits, _ in levels]
                return (*scores, *[sides for _, sides in levels])

        reading, model = self._reading, self._how.model
        maps = self._maps(np.full((2, *self._size, 3), 128, np.uint8))
        names = [f"map_{stride}" for stride in self._strides]
        outputs = [*reading.scores, *reading.distances]
        with alone(self._seed, 0), torch.no_grad():
            data = onnx_of(Whole().eval(), maps, names, outputs, opset=opset_of(model))
        head = {
            "kind": "NanoDet",
            "scores": list(reading.scores),
            "distances": list(reading.distances),
            "strides": list(reading.strides),
            "size": list(reading.size),
        }
        whole = with_graph(model, self._values, data)
        return Exported(whole, model.card.input, head, task="detect")

    def _check_sizes(self, sizes: Sequence[tuple[int, ...]]) -> None:
        """Refuse maps that are not of their stride, and strides that do not double."""
        for stride, before, size in zip(self._strides, [0, *self._strides], sizes, strict=False):
            wanted = tuple(-(-side // stride) for side in self._size)
            if size != wanted or (before and stride != 2 * before):
                raise CardError(
                    f"model {self._how.model.card.name!r}: `maps` on its card are of strides that "
                    f"double, each of {list(wanted)} cells at stride {stride}; got strides "
                    f"{self._strides} and {list(size)} cells"
                )

    @property
    def _reading(self) -> NanoDet:
        """How the outputs are read: as those of NanoDet."""
        return NanoDet(
            tuple(f"object_scores_{stride}" for stride in self._strides),
            tuple(f"object_sides_{stride}" for stride in self._strides),
            tuple(self._strides),
            self._size,
        )

    def _maps(self, inputs: npt.NDArray[np.uint8]) -> list[Any]:
        """Return the maps of pictures, uint8 [B, H, W, 3]; one at a time, as it is cached best."""
        torch = pytorch()
        parts = list[Mapping[str, npt.NDArray[Any]]]()
        for picture in inputs:
            parts.append(self._trunk(self._finish(picture)[0][None]))
        return [
            torch.from_numpy(np.concatenate([part[value] for part in parts])).to(
                memory_format=torch.channels_last
            )
            for value in self._values
        ]


def _load_trunk(model: ModelFile, values: Sequence[str]) -> Model:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trunk.onnx")
        path.write_bytes(trunk_of(model, values))
        return ModelFile(str(path), model.card).load(Inference(device="cpu"))


def _layers(how: "DetectionHead", channels: Sequence[int], n_classes: int) -> Any:
    """Return a `torch.nn.Module` from maps to (class logits, side logits) of each stride.

    Maps exchange what they see first from coarse to fine, then from fine to coarse.
    Logits are float32 [B, cells, classes] and [B, cells, 4 x bins].
    """
    nn = pytorch().nn
    width = how.width

    def convolution(n_in: int, kernel: int = 3, stride: int = 1) -> Any:
        layer = nn.Conv2d(n_in, width, kernel, stride, kernel // 2, bias=False)
        return nn.Sequential(layer, nn.BatchNorm2d(width), nn.LeakyReLU(0.1))

    class Layers(nn.Module):  # type: ignore[name-defined, misc] # torch is an extra
        def __init__(self) -> None:
            super().__init__()
            finer = channels[1:]
            self.enter = nn.ModuleList(convolution(n, kernel=1) for n in channels)
            self.down = nn.ModuleList(convolution(width) for _ in channels)
            self.shrink = nn.ModuleList(convolution(width, stride=2) for _ in finer)
            self.up = nn.ModuleList(convolution(width) for _ in finer)
            self.towers = nn.ModuleList(
                nn.Sequential(*(convolution(width) for _ in range(how.depth))) for _ in channels
            )
            self.classes = nn.ModuleList(nn.Conv2d(width, n_classes, 1) for _ in channels)
            self.sides = nn.ModuleList(nn.Conv2d(width, 4 * how.bins, 1) for _ in channels)
            for last in self.classes:
                nn.init.constant_(last.bias, _RARE)

        def forward(self, maps: Sequence[Any]) -> list[tuple[Any, Any]]:
            levels = [enter(one) for enter, one in zip(self.enter, maps, strict=True)]
            for i in reversed(range(len(levels) - 1)):
                size = levels[i].shape[2:]
                levels[i] = levels[i] + nn.functional.interpolate(levels[i + 1], size=size)
            levels = [down(level) for down, level in zip(self.down, levels, strict=True)]
            for i, (shrink, up) in enumerate(zip(self.shrink, self.up, strict=True)):
                levels[i + 1] = up(levels[i + 1] + shrink(levels[i]))
            return [self._read(i, level) for i, level in enumerate(levels)]

        def _read(self, i: int, level: Any) -> tuple[Any, Any]:
            seen = self.towers[i](level)
            rows = [part[i](seen).flatten(2).transpose(1, 2) for part in (self.classes, self.sides)]
            return rows[0], rows[1]

    return Layers()
