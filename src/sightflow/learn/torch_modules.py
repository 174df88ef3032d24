"""Modules of PyTorch: built, and given first weights; the only file that imports PyTorch."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sightflow.errors import ModelError, PipelineError, SetupError
from sightflow.kinds import imported

if TYPE_CHECKING:
    from sightflow.learn.torch_networks import Pretrained, TorchNetwork

__all__ = ["build_module", "conv_net", "differing_shapes", "is_in", "pytorch"]

_GRID = 4
"""Cells along the short side of what the last layers of `conv_net` see, or fewer."""


def pytorch() -> Any:
    """Return the package `torch`.

    Raises:
        SetupError: it is missing or broken.
    """
    try:
        import torch
    except (ImportError, OSError) as error:
        raise SetupError(
            f"networks of PyTorch need it, and it cannot be imported ({error}); "
            "`pip install 'sightflow[train]'`"
        ) from error
    return torch


def conv_net(
    *, num_classes: int, size: tuple[int, int], width: int, dropout: float, depth: int = 1
) -> Any:
    """Return a `torch.nn.Module` of convolutions and two layers, for float32 [B, 3, H, W].

    Args:
        num_classes: logits of each picture.
        size: (H, W) in pixels, from 8.
        width: channels of the first convolution; the last has 4 times as many.
        dropout: part that is left out before each of the last two layers.
        depth: convolutions in a row, but for the first one: 1 makes four in all, 2 seven.
    """
    nn = pytorch().nn
    layers: list[Any] = []
    channels = (3, width, 2 * width, 4 * width, 4 * width)
    for i, (n_in, n_out) in enumerate(pairwise(channels)):
        kernel = 3 if i else 5
        for n_before in (n_in, *[n_out] * (depth - 1 if i else 0)):
            layers.append(nn.Conv2d(n_before, n_out, kernel, padding=kernel // 2, bias=False))
            layers += [nn.BatchNorm2d(n_out), nn.ReLU()]
        if i < 3:
            layers.append(nn.MaxPool2d(2))
    down, across = (side // 8 for side in size)
    cell = max(1, min(down, across) // _GRID)
    n_cells = (down // cell) * (across // cell)
    layers += [nn.AvgPool2d(cell)] if cell > 1 else []
    layers += [nn.Flatten(), nn.Dropout(dropout), nn.Linear(n_cells * 4 * width, 128), nn.ReLU()]
    return nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(128, num_classes))


def build_module(network: "TorchNetwork", n_classes: int) -> Any:
    """Return the module with its first weights."""
    torch = pytorch()
    build = imported(network.module, f"TorchNetwork: `module` {network.module!r}")
    try:
        module = build(**{"num_classes": n_classes, **network.options})
    except (TypeError, ValueError) as error:
        raise PipelineError(
            f"TorchNetwork: {network.module!r} takes `num_classes` and {sorted(network.options)}; "
            f"it says: {error}"
        ) from error
    if not isinstance(module, torch.nn.Module):
        raise PipelineError(
            f"TorchNetwork: {network.module!r} returns a `torch.nn.Module`; got {module!r}"
        )
    if network.pretrained is not None:
        _load(network.pretrained, module)
        for name, parameter in module.named_parameters():
            if is_in(name, network.pretrained.frozen):
                parameter.requires_grad_(False)
    return module


def _load(pretrained: "Pretrained", module: Any) -> None:
    """Give a module the weights of a file, but for its head."""
    own = module.state_dict()
    for part in (*pretrained.head, *pretrained.frozen):
        if not any(is_in(name, (part,)) for name in own):
            raise PipelineError(f"Pretrained: no tensor is in {part!r}; there are {list(own)}")
    body = {name: value for name, value in own.items() if not is_in(name, pretrained.head)}
    found = {
        name: value
        for name, value in _read(pretrained.path).items()
        if not is_in(name, pretrained.head)
    }
    differing = differing_shapes(body, found)
    if differing:
        raise ModelError(
            f"{pretrained.path}: holds the tensors of the network, but for `head`; these differ "
            f"(network, file): {differing}"
        )
    module.load_state_dict({**own, **found})


def _read(path: str) -> Mapping[str, Any]:
    """Return the tensors of a file; code in it is never run.

    Raises:
        ModelError: it is missing or holds something else.
    """
    torch = pytorch()
    try:
        if path.endswith(".safetensors"):
            from safetensors.torch import load_file

            tensors: Mapping[str, Any] = load_file(path)
            return tensors
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each format has its own kinds
        raise ModelError(f"{path}: cannot be read as a file of tensors: {error}") from error
    if not isinstance(tensors, Mapping) or not all(map(torch.is_tensor, tensors.values())):
        raise ModelError(
            f"{path}: holds tensors by name; got {type(tensors).__name__}; save the `state_dict`"
        )
    return tensors


def is_in(name: str, parts: Sequence[str]) -> bool:
    """Return whether a tensor or module is one of these parts, or in one."""
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def differing_shapes(
    here: Mapping[str, Any], there: Mapping[str, Any]
) -> dict[str, tuple[tuple[int, ...] | None, tuple[int, ...] | None]]:
    """Return the shapes of tensors that differ, at most five; a number is an array of one."""
    pairs = {name: (_shape(here.get(name)), _shape(there.get(name))) for name in {**here, **there}}
    return dict([(name, pair) for name, pair in pairs.items() if pair[0] != pair[1]][:5])


def _shape(tensor: Any) -> tuple[int, ...] | None:
    return None if tensor is None else tuple(tensor.shape) or (1,)
