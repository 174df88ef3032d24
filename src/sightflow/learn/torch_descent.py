"""What all modules of PyTorch in training share: steps, averages, and what checkpoints keep.

Two things of PyTorch belong to a whole process: the generator that dropout draws from, and the
number of threads. A step has both for itself: it holds a lock, seeds the generator by its own
number, computes in one thread, and puts back what it found. So what is learned follows from seed
and step alone, whatever other trainings do in the same JVM, and needs no state of a generator.
"""

import copy
import io
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from sightflow.errors import JobError, ModelError
from sightflow.learn.network import Predict, Said, Tensors
from sightflow.learn.optimiser import Optimiser
from sightflow.learn.torch_modules import differing_shapes, pytorch

__all__ = ["ModuleInTraining", "alone", "grouped", "onnx_of", "own_rule"]

_OPSET = 17
_LOCK = threading.Lock()


class ModuleInTraining(ABC):
    """A module in training; a subclass knows what goes in and what comes out."""

    def __init__(self, module: Any, descent: Any, optimiser: Optimiser, seed: int) -> None:
        """Take a module with its first weights.

        Args:
            module: a `torch.nn.Module`.
            descent: a `torch.optim.Optimizer` of its parameters; a group's `part` is its share of
                the rate.
            optimiser: rates and averages.
            seed: of all that is drawn.
        """
        self._module, self._descent = module, descent
        self._optimiser, self._seed = optimiser, seed
        self._average = copy.deepcopy(module).eval() if optimiser.averaging else None

    @abstractmethod
    def _said(self, module: Any, inputs: npt.NDArray[Any]) -> Said:
        """Return what a module says of inputs; called without gradients."""

    @abstractmethod
    def _loss_of(self, inputs: npt.NDArray[Any], truths: Any) -> Any:
        """Return the mean loss of the module in training, with gradients."""

    def _set_mode(self) -> None:
        """Put the module into the mode of training."""
        self._module.train()

    def predict(self, inputs: npt.NDArray[Any]) -> Said:
        """Return what it says of inputs."""
        return self._said_alone(self._predicting(), inputs)

    def learn(self, inputs: npt.NDArray[Any], truths: Any, step: int) -> float:
        """Make one step of gradient descent and return the mean loss before it."""
        with alone(self._seed, 1 + step):
            self._set_mode()
            for group in self._descent.param_groups:
                group["lr"] = self._optimiser.rate_at(step) * group.get("part", 1.0)
            self._descent.zero_grad()
            loss = self._loss_of(inputs, truths)
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
        return lambda inputs: self._said_alone(module, inputs)

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

    def _said_alone(self, module: Any, inputs: npt.NDArray[Any]) -> Said:
        with alone(self._seed, 0), pytorch().no_grad():
            return self._said(module, inputs)

    @property
    def _memory(self) -> str:
        """How the names of the optimiser's tensors begin."""
        return f"memory/{type(self._descent).__name__}"

    def _predicting(self) -> Any:
        return self._module.eval() if self._average is None else self._average

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


@contextmanager
def alone(seed: int, number: int) -> Iterator[None]:
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


def grouped(
    module: Any, optimiser: Optimiser, part_of: Callable[[str], float] = lambda name: 1.0
) -> list[dict[str, Any]]:
    """Return the parameters that are trained, in groups; vectors do not decay.

    Args:
        module: a `torch.nn.Module`.
        optimiser: rate and decay.
        part_of: returns the share of the rate that a parameter of this name has.
    """
    groups: dict[tuple[float, bool], dict[str, Any]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            part, decays = part_of(name), parameter.ndim > 1
            decay = optimiser.weight_decay if decays else 0.0
            group = {"params": [], "lr": optimiser.rate, "weight_decay": decay, "part": part}
            groups.setdefault((part, decays), group)["params"].append(parameter)
    return list(groups.values())


def own_rule(groups: list[dict[str, Any]], optimiser: Optimiser) -> Any:
    """Return the optimiser of PyTorch for a rule of ours."""
    torch = pytorch()
    if optimiser.rule == "adamw":
        return torch.optim.AdamW(groups, fused=True)
    return torch.optim.SGD(groups, momentum=optimiser.momentum, fused=True)


def onnx_of(
    module: Any,
    inputs: Sequence[Any],
    names: Sequence[str],
    outputs: Sequence[str],
    *,
    opset: int = _OPSET,
) -> bytes:
    """Return a module as an ONNX file with batches of any size, in a version of the operators.

    By the older of PyTorch's two exporters: the newer one needs the package onnxscript.
    """
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the exporter is the older one
        pytorch().onnx.export(
            module,
            tuple(inputs),
            file,
            input_names=list(names),
            output_names=list(outputs),
            dynamic_axes={name: {0: "batch"} for name in (*names, *outputs)},
            opset_version=opset,
            dynamo=False,
        )
    return file.getvalue()


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
