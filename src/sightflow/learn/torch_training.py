"""Modules of PyTorch in training.

Two things of PyTorch belong to a whole process: the generator that dropout draws from, and the
number of threads. A step has both for itself: it holds a lock, seeds the generator by its own
number, computes in one thread, and puts back what it found. So what is learned follows from seed
and step alone, whatever other trainings do in the same JVM, and needs no state of a generator.
"""

import copy
import io
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sightflow.errors import JobError, ModelError, PipelineError
from sightflow.kinds import imported
from sightflow.learn.network import Exported, Predict, Tensors
from sightflow.learn.optimiser import Optimiser
from sightflow.learn.torch_modules import build_module, differing_shapes, is_in, pytorch
from sightflow.models import ModelInput

if TYPE_CHECKING:
    from sightflow.learn.torch_networks import Pretrained, TorchNetwork

__all__ = ["TrainableModule"]

_INPUT, _OUTPUT = "pictures", "probabilities"
_OPSET = 17
_LOCK = threading.Lock()


class TrainableModule:
    """A module in training."""

    def __init__(
        self, network: "TorchNetwork", n_classes: int, optimiser: Optimiser, seed: int
    ) -> None:
        """Build the module, with random weights that follow from the seed, or those of its file."""
        torch = pytorch()
        self._network, self._n_classes = network, n_classes
        self._optimiser, self._seed = optimiser, seed
        self._loss = imported(network.loss, f"TorchNetwork: `loss` {network.loss!r}")
        with _alone(seed, 0):
            self._module = build_module(network, n_classes)
        layout = torch.channels_last if network.channels_last else torch.contiguous_format
        self._layout = layout
        self._module.to(memory_format=layout)
        self._descent = _descent(network, self._module, optimiser)
        self._average = copy.deepcopy(self._module).eval() if optimiser.averaging else None
        mean, std = network.preprocess.mean or (0, 0, 0), network.preprocess.std or (1, 1, 1)
        self._mean = torch.tensor(mean, dtype=torch.float32).reshape(3, 1, 1)
        self._std = torch.tensor(std, dtype=torch.float32).reshape(3, 1, 1)

    def predict(self, inputs: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return float32 [B, classes], the probability of each class, for uint8 [B, H, W, 3]."""
        return self._probabilities(self._predicting(), inputs)

    def learn(
        self, inputs: npt.NDArray[np.uint8], class_ids: npt.NDArray[np.int64], step: int
    ) -> float:
        """Make one step of gradient descent and return the mean loss before it."""
        torch = pytorch()
        with _alone(self._seed, 1 + step):
            self._begin_step(self._optimiser.rate_at(step))
            logits = self._logits(self._module, inputs)
            loss = self._loss(logits, torch.tensor(class_ids), **self._network.loss_options)
            loss.backward()
            self._descent.step()
            self._follow(self._optimiser.averaging_at(step))
            return float(loss.detach())

    def weights(self) -> Tensors:
        """Return the tensors of the module that predicts, by their names in its `state_dict`."""
        return {name: _array(value) for name, value in self._predicting().state_dict().items()}

    def predictor(self, weights: Tensors) -> Predict | None:
        """Return what predicts with other weights; None where they are of another module."""
        module = copy.deepcopy(self._predicting()).eval()
        if not _given(module, weights):
            return None
        return lambda inputs: self._probabilities(module, inputs)

    def start(self, weights: Tensors) -> None:
        """Begin with the weights of another training of such a module.

        Raises:
            ModelError: they are of another module.
        """
        for module in (self._module, self._average):
            if module is not None and not _given(module, weights):
                raise ModelError(
                    f"{type(self._module).__name__} cannot start from weights of another network: "
                    f"{sorted(weights)[:3]} and so on"
                )

    def tensors(self) -> Tensors:
        """Return parameters, buffers, their averages, and the optimiser's memory."""
        found = {f"now/{name}": _array(t) for name, t in _tensors_of(self._module).items()}
        if self._average is not None:
            averages = _tensors_of(self._average).items()
            found |= {f"average/{name}": _array(t) for name, t in averages}
        names = {parameter: name for name, parameter in self._module.named_parameters()}
        for parameter, memory in self._descent.state.items():
            for key, value in memory.items():
                if value is not None:
                    kind, array = _remembered(value)
                    found[f"{self._memory}/{kind}/{names[parameter]}/{key}"] = array
        return found

    def shared(self) -> list[str]:
        """Return the names of the parameters and of their averages."""
        names = [name for name, _ in self._module.named_parameters()]
        kinds = ("now",) if self._average is None else ("now", "average")
        return [f"{kind}/{name}" for kind in kinds for name in names]

    def restore(self, tensors: Tensors) -> None:
        """Go on from what `tensors` gave; a number may come as an array of one.

        Raises:
            JobError: they are of another network or optimiser.
        """
        torch = pytorch()
        own = {f"now/{name}": t for name, t in _tensors_of(self._module).items()}
        if self._average is not None:
            own |= {f"average/{name}": t for name, t in _tensors_of(self._average).items()}
        memory = f"{self._memory}/"
        kept = {k.removeprefix(memory): v for k, v in tensors.items() if k.startswith(memory)}
        given = {name: v for name, v in tensors.items() if not name.startswith(memory)}
        _refuse_other(own, given)
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(torch.tensor(given[name]).reshape(tensor.shape))
        self._remember(kept)

    def _probabilities(self, module: Any, inputs: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        torch = pytorch()
        with _alone(self._seed, 0), torch.no_grad():
            found = torch.softmax(self._logits(module, inputs), dim=1)
        probabilities: npt.NDArray[np.float32] = found.numpy()
        return probabilities

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
            with _alone(self._seed, 0), torch.no_grad():
                data = _onnx(Whole().eval(), pictures)
        except Exception as error:  # of many kinds, and code of the user's
            raise ModelError(
                f"TorchNetwork: {network.module!r} cannot be written as ONNX: {error}"
            ) from error
        made = replace(network.preprocess, mean=(0, 0, 0), std=None, layout="CHW")
        return Exported(data, ModelInput(made, _INPUT), _OUTPUT)

    @property
    def _memory(self) -> str:
        """How the names of the optimiser's tensors begin."""
        return f"memory/{type(self._descent).__name__}"

    def _predicting(self) -> Any:
        return self._module.eval() if self._average is None else self._average

    def _begin_step(self, rate: float) -> None:
        """Set mode and rates, and forget the last gradients."""
        self._module.train()
        frozen = self._network.pretrained.frozen if self._network.pretrained else ()
        for name, module in self._module.named_modules() if frozen else ():
            if is_in(name, frozen):
                module.eval()
        for group in self._descent.param_groups:
            group["lr"] = rate * group.get("part", 1.0)
        self._descent.zero_grad()

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

    def _follow(self, stays: float) -> None:
        """Move the averages towards what they are averages of."""
        if self._average is None:
            return
        torch = pytorch()
        pairs = zip(
            _tensors_of(self._average).values(), _tensors_of(self._module).values(), strict=True
        )
        with torch.no_grad():
            for average, now in pairs:
                if average.is_floating_point():
                    average.lerp_(now, 1 - stays)
                else:
                    average.copy_(now)

    def _remember(self, memory: Tensors) -> None:
        """Give the optimiser its memory back, by `kind/parameter/key`."""
        torch = pytorch()
        parameters = dict(self._module.named_parameters())
        order = [p for group in self._descent.param_groups for p in group["params"]]
        numbers = {id(parameter): i for i, parameter in enumerate(order)}
        state: dict[int, dict[str, Any]] = {}
        for place, array in memory.items():
            kind, _, rest = place.partition("/")
            name, _, key = rest.rpartition("/")
            if id(parameters.get(name)) not in numbers:
                raise JobError(f"the checkpoint trains {name!r}, which is frozen here")
            value = torch.tensor(array)
            if kind == "number":
                value = value.item()
            elif kind == "scalar":
                value = value.reshape(())
            elif value.shape == parameters[name].shape:  # in the same order of axes in memory
                value = torch.empty_like(parameters[name], dtype=value.dtype).copy_(value)
            state.setdefault(numbers[id(parameters[name])], {})[key] = value
        groups = self._descent.state_dict()["param_groups"]
        self._descent.load_state_dict({"state": state, "param_groups": groups})


def _given(module: Any, weights: Tensors) -> bool:
    """Give a module these weights; return whether they are its own."""
    own = module.state_dict()
    shapes = {name: tuple(tensor.shape) or (1,) for name, tensor in own.items()}
    if {name: np.shape(weight) or (1,) for name, weight in weights.items()} != shapes:
        return False
    with pytorch().no_grad():
        for name, tensor in own.items():
            tensor.copy_(pytorch().tensor(weights[name]).reshape(tensor.shape))
    return True


@contextmanager
def _alone(seed: int, number: int) -> Iterator[None]:
    """Run with PyTorch's own generator, seeded, and one thread; see the top of this file.

    `torch.manual_seed` would seed the generators of GPUs too, at ten times the price.
    """
    torch = pytorch()
    with _LOCK:
        state, n_threads = torch.get_rng_state(), torch.get_num_threads()
        torch.set_num_threads(1)
        torch.default_generator.manual_seed(_mixed(seed, number))
        try:
            yield
        finally:
            torch.set_rng_state(state)
            torch.set_num_threads(n_threads)


def _mixed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0])


def _descent(network: "TorchNetwork", module: Any, optimiser: Optimiser) -> Any:
    """Return the optimiser of PyTorch; matrices and kernels decay, vectors do not."""
    torch = pytorch()
    groups: dict[tuple[float, bool], dict[str, Any]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            part, decays = _part(network.pretrained, name), parameter.ndim > 1
            decay = optimiser.weight_decay if decays else 0.0
            group = {"params": [], "lr": optimiser.rate, "weight_decay": decay, "part": part}
            groups.setdefault((part, decays), group)["params"].append(parameter)
    if not groups:
        raise PipelineError(f"TorchNetwork: nothing of {network.module!r} is left to be trained")
    listed = list(groups.values())
    if network.optimiser is None:
        if optimiser.rule == "adamw":
            return torch.optim.AdamW(listed, fused=True)
        return torch.optim.SGD(listed, momentum=optimiser.momentum, fused=True)
    build = imported(network.optimiser, f"TorchNetwork: `optimiser` {network.optimiser!r}")
    made = build(listed, **network.optimiser_options)
    if not isinstance(made, torch.optim.Optimizer):
        raise PipelineError(
            f"TorchNetwork: `optimiser` is a `torch.optim.Optimizer`; {network.optimiser!r} "
            f"returns {made!r}"
        )
    return made


def _part(pretrained: "Pretrained | None", name: str) -> float:
    """Return the rate of a parameter, as a part of the optimiser's."""
    return 1.0 if pretrained is None or is_in(name, pretrained.head) else pretrained.rate


def _tensors_of(module: Any) -> dict[str, Any]:
    """Return parameters and buffers, those too that PyTorch would not save."""
    return dict(chain(module.named_parameters(), module.named_buffers()))


def _array(tensor: Any) -> npt.NDArray[Any]:
    """Return a copy of a tensor, in C order."""
    copied = tensor.detach().clone(memory_format=pytorch().contiguous_format)
    array: npt.NDArray[Any] = copied.numpy()
    return array


def _remembered(value: Any) -> tuple[str, npt.NDArray[Any]]:
    """Return the kind of a value in an optimiser's memory, and the value."""
    if pytorch().is_tensor(value):
        return ("array" if value.ndim else "scalar"), _array(value)
    return "number", np.array(value)


def _refuse_other(own: Mapping[str, Any], given: Tensors) -> None:
    differing = differing_shapes(own, given)
    if differing:
        raise JobError(
            "the checkpoint has another network or optimiser; these tensors differ (this one, "
            f"checkpoint): {differing}"
        )


def _onnx(module: Any, pictures: Any) -> bytes:
    """Return a module as an ONNX file with batches of any size.

    By the older of PyTorch's two exporters: the newer one needs the package onnxscript.
    """
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the exporter is the older one
        pytorch().onnx.export(
            module,
            (pictures,),
            file,
            input_names=[_INPUT],
            output_names=[_OUTPUT],
            dynamic_axes={_INPUT: {0: "batch"}, _OUTPUT: {0: "batch"}},
            opset_version=_OPSET,
            dynamo=False,
        )
    return file.getvalue()
