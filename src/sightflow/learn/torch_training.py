"""Modules of PyTorch that learn classes."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sightflow.errors import ModelError, PipelineError
from sightflow.kinds import imported
from sightflow.learn.network import Exported
from sightflow.learn.optimiser import Optimiser
from sightflow.learn.torch_descent import ModuleInTraining, alone, grouped, onnx_of, own_rule
from sightflow.learn.torch_modules import build_module, is_in, pytorch
from sightflow.models import ModelInput

if TYPE_CHECKING:
    from sightflow.learn.torch_networks import Pretrained, TorchNetwork

__all__ = ["TrainableModule"]

_INPUT, _OUTPUT = "pictures", "probabilities"


class TrainableModule(ModuleInTraining):
    """A module in training that says which class a picture is of."""

    def __init__(
        self, network: "TorchNetwork", n_classes: int, optimiser: Optimiser, seed: int
    ) -> None:
        """Build the module, with random weights that follow from the seed, or those of its file."""
        torch = pytorch()
        self._network, self._n_classes = network, n_classes
        self._loss = imported(network.loss, f"TorchNetwork: `loss` {network.loss!r}")
        with alone(seed, 0):
            module = build_module(network, n_classes)
        layout = torch.channels_last if network.channels_last else torch.contiguous_format
        self._layout = layout
        module.to(memory_format=layout)
        super().__init__(module, _descent(network, module, optimiser), optimiser, seed)
        mean, std = network.preprocess.mean or (0, 0, 0), network.preprocess.std or (1, 1, 1)
        self._mean = torch.tensor(mean, dtype=torch.float32).reshape(3, 1, 1)
        self._std = torch.tensor(std, dtype=torch.float32).reshape(3, 1, 1)

    def _said(self, module: Any, inputs: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        found = pytorch().softmax(self._logits(module, inputs), dim=1)
        probabilities: npt.NDArray[np.float32] = found.numpy()
        return probabilities

    def _loss_of(self, inputs: npt.NDArray[np.uint8], truths: npt.NDArray[np.int64]) -> Any:
        logits = self._logits(self._module, inputs)
        return self._loss(logits, pytorch().tensor(truths), **self._network.loss_options)

    def export(self) -> Exported:
        """Return the module that predicts, from float32 [B, 3, H, W] of 0 to 255.

        Raises:
            ModelError: PyTorch cannot write it as ONNX.
        """
        torch = pytorch()
        network, module, finished = self._network, self._predicting(), self._finished

        class Whole(torch.nn.Module):  # type: ignore[name-defined, misc] # torch is an extra
            def __init__(self) -> None:
                super().__init__()
                self.module = module

            def forward(self, pictures: Any) -> Any:
                return torch.softmax(self.module(finished(pictures)), dim=1)

        pictures = torch.zeros((2, 3, *(network.preprocess.size or ())))
        try:
            with alone(self._seed, 0), torch.no_grad():
                data = onnx_of(Whole().eval(), [pictures], [_INPUT], [_OUTPUT])
        except Exception as error:  # of many kinds, and code of the user's
            raise ModelError(
                f"TorchNetwork: {network.module!r} cannot be written as ONNX: {error}"
            ) from error
        made = replace(network.preprocess, mean=(0, 0, 0), std=None, layout="CHW")
        head = {"kind": "Probabilities", "output": _OUTPUT}
        return Exported(data, ModelInput(made, _INPUT), head)

    def _set_mode(self) -> None:
        """Put the module into the mode of training, but for what is frozen."""
        self._module.train()
        frozen = self._network.pretrained.frozen if self._network.pretrained else ()
        for name, module in self._module.named_modules() if frozen else ():
            if is_in(name, frozen):
                module.eval()

    def _logits(self, module: Any, inputs: npt.NDArray[np.uint8]) -> Any:
        """Return what a module says to pictures, uint8 [B, H, W, 3]."""
        torch = pytorch()
        pictures = torch.tensor(np.ascontiguousarray(inputs)).permute(0, 3, 1, 2)
        pictures = pictures.to(torch.float32, memory_format=self._layout)
        logits = module(self._finished(pictures))
        expected = (len(inputs), self._n_classes)
        if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != expected:
            got = getattr(logits, "shape", type(logits).__name__)
            raise ModelError(
                f"TorchNetwork: {self._network.module!r} returns logits {list(expected)}, one for "
                f"each class; got {list(got) if not isinstance(got, str) else got}"
            )
        return logits

    def _finished(self, pictures: Any) -> Any:
        """Return normalised pictures, float32 [B, 3, H, W]."""
        torch = pytorch()
        if self._network.preprocess.normalizes:
            pictures = (pictures - self._mean) / self._std
        if not self._network.standardise:
            return pictures
        middle = pictures - pictures.mean(dim=(1, 2, 3), keepdim=True)
        variance = (middle * middle).mean(dim=(1, 2, 3), keepdim=True)
        return middle / torch.sqrt(variance + 1)


def _descent(network: "TorchNetwork", module: Any, optimiser: Optimiser) -> Any:
    """Return the optimiser of PyTorch; matrices and kernels decay, vectors do not."""
    groups = grouped(module, optimiser, lambda name: _part(network.pretrained, name))
    if not groups:
        raise PipelineError(f"TorchNetwork: nothing of {network.module!r} is left to be trained")
    if network.optimiser is None:
        return own_rule(groups, optimiser)
    build = imported(network.optimiser, f"TorchNetwork: `optimiser` {network.optimiser!r}")
    made = build(groups, **network.optimiser_options)
    if not isinstance(made, pytorch().optim.Optimizer):
        raise PipelineError(
            f"TorchNetwork: `optimiser` is a `torch.optim.Optimizer`; {network.optimiser!r} "
            f"returns {made!r}"
        )
    return made


def _part(pretrained: "Pretrained | None", name: str) -> float:
    """Return the rate of a parameter, as a part of the optimiser's."""
    return 1.0 if pretrained is None or is_in(name, pretrained.head) else pretrained.rate
