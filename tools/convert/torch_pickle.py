"""Reads a PyTorch state dict into numpy arrays, without torch and without trusting the pickle.

A pickle is a program. Here it may call three things only: make an `OrderedDict`, describe a tensor
and pass on a parameter. Everything else that it names is refused before it is looked up.

Source: the file layout written by `torch.save`, both the legacy one (PyTorch before 1.6) and the
zip one (since 1.6).
"""

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.convert.errors import ConvertError

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001

STORAGE_DTYPES: Mapping[str, str] = MappingProxyType(
    {
        "DoubleStorage": "<f8",
        "FloatStorage": "<f4",
        "HalfStorage": "<f2",
        "LongStorage": "<i8",
        "IntStorage": "<i4",
        "ShortStorage": "<i2",
        "CharStorage": "|i1",
        "ByteStorage": "|u1",
        "BoolStorage": "|b1",
    }
)
"""Name of a class of `torch` to the dtype of its elements; only little-endian files are read."""

Array = npt.NDArray[Any]


def read_state_dict(data: bytes, origin: str) -> dict[str, Array]:
    """Read the tensors of a state dict.

    Args:
        data: The whole file, in the legacy or in the zip layout.
        origin: What to call the file in errors.

    Returns:
        One array for each tensor, in the order of the file; each owns its memory.

    Raises:
        ConvertError: The file is damaged, is not a state dict, or its pickle asks for more than
            tensors.
    """
    try:
        if zipfile.is_zipfile(io.BytesIO(data)):
            state, storages = _read_zip(data, origin)
        else:
            state, storages = _read_legacy(data, origin)
    except ConvertError:
        raise
    except Exception as error:  # a damaged pickle may raise nearly anything
        raise ConvertError(
            f"{origin}: must be a file of `torch.save`; reading it ended in "
            f"{type(error).__name__}: {error}; download it again"
        ) from error
    return _arrays(state, storages, origin)


@dataclass(frozen=True, slots=True)
class _StorageRef:
    """A run of elements that lies elsewhere in the file."""

    dtype: str
    key: str


@dataclass(frozen=True, slots=True)
class _TensorRef:
    """A tensor described as a strided window into a storage; sizes and strides in elements."""

    storage: _StorageRef
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _RebuildTensor:
    """Stands in for torch's function that makes a tensor."""

    __slots__ = ()

    def __call__(
        self, storage: _StorageRef, offset: int, shape: Any, strides: Any, *_: object
    ) -> _TensorRef:
        return _TensorRef(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


class _RebuildParameter:
    """Stands in for torch's function that wraps a tensor as a parameter."""

    __slots__ = ()

    def __call__(self, tensor: _TensorRef, *_: object) -> _TensorRef:
        return tensor


class _TensorUnpickler(pickle.Unpickler):
    """Unpickles descriptions of tensors and refuses all else.

    What it hands to the pickle are strings, objects without attributes and a built-in class, so
    that the pickle has nothing to change either.
    """

    def __init__(self, file: io.BytesIO, origin: str) -> None:
        super().__init__(file)
        self._origin = origin

    def find_class(self, module: str, name: str) -> Any:
        """Look up one of the few names that a state dict needs."""
        if module == "torch" and name in STORAGE_DTYPES:
            return name
        match (module, name):
            case ("collections", "OrderedDict"):
                return OrderedDict
            case ("torch._utils", "_rebuild_tensor_v2"):
                return _RebuildTensor()
            case ("torch._utils", "_rebuild_parameter"):
                return _RebuildParameter()
        raise ConvertError(
            f"{self._origin}: a state dict must hold tensors only; its pickle asks for "
            f"`{module}.{name}`, which was not run; do not trust this file"
        )

    def persistent_load(self, pid: Any) -> _StorageRef:
        """Turn torch's reference to a storage into ours."""
        kind, storage, key, *_ = pid
        if kind != "storage" or storage not in STORAGE_DTYPES:
            raise ConvertError(
                f"{self._origin}: a reference must name a storage of one of "
                f"{', '.join(STORAGE_DTYPES)}; got {kind!r} {storage!r}; "
                "save the weights as plain float or integer tensors"
            )
        return _StorageRef(STORAGE_DTYPES[storage], str(key))


def _read_zip(data: bytes, origin: str) -> tuple[object, dict[str, bytes]]:
    """Read the zip layout: the pickle in `data.pkl`, each storage in `data/<key>`."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        roots = [name.removesuffix("data.pkl") for name in names if name.endswith("/data.pkl")]
        if len(roots) != 1:
            raise ConvertError(
                f"{origin}: the archive must hold one `data.pkl`; got {len(roots)}; "
                "pass a file written by `torch.save`"
            )
        if f"{roots[0]}byteorder" in names:
            _check_little_endian(archive.read(f"{roots[0]}byteorder") == b"little", origin)
        pickled = archive.read(f"{roots[0]}data.pkl")
        folder = f"{roots[0]}data/"
        storages = {
            name.removeprefix(folder): archive.read(name)
            for name in names
            if name.startswith(folder)
        }
    return _TensorUnpickler(io.BytesIO(pickled), origin).load(), storages


def _read_legacy(data: bytes, origin: str) -> tuple[object, dict[str, bytes]]:
    """Read the legacy layout: five pickles in a row, then each storage after its length."""
    file = io.BytesIO(data)
    magic, protocol, system = (_TensorUnpickler(file, origin).load() for _ in range(3))
    if (magic, protocol) != (LEGACY_MAGIC, LEGACY_PROTOCOL):
        raise ConvertError(
            f"{origin}: must begin with the magic number and protocol {LEGACY_PROTOCOL} of "
            f"`torch.save`; got {magic!r} and {protocol!r}; pass the file that holds the weights"
        )
    _check_little_endian(system["little_endian"], origin)
    recorder = _KeyRecorder(file, origin)
    state = recorder.load()
    keys = _TensorUnpickler(file, origin).load()
    storages = {}
    for key in keys:
        n_elements = int.from_bytes(file.read(8), "little")
        storages[key] = file.read(n_elements * np.dtype(recorder.dtypes[key]).itemsize)
    return state, storages


class _KeyRecorder(_TensorUnpickler):
    """Also notes each storage's dtype, without which the legacy layout cannot be walked."""

    def __init__(self, file: io.BytesIO, origin: str) -> None:
        super().__init__(file, origin)
        self.dtypes: dict[str, str] = {}

    def persistent_load(self, pid: Any) -> _StorageRef:
        """Note the dtype of the storage that is referred to."""
        storage = super().persistent_load(pid)
        self.dtypes[storage.key] = storage.dtype
        return storage


def _check_little_endian(holds: bool, origin: str) -> None:
    """Refuse a file that a big-endian machine wrote."""
    if not holds:
        raise ConvertError(
            f"{origin}: numbers must be little-endian; got a big-endian file; "
            "save it again on a little-endian machine"
        )


def _arrays(state: object, storages: Mapping[str, bytes], origin: str) -> dict[str, Array]:
    """Turn the unpickled state dict into arrays."""
    if not isinstance(state, dict):
        raise ConvertError(
            f"{origin}: must hold a dict of tensors; got {type(state).__name__}; "
            "save `model.state_dict()`, not the model"
        )
    arrays = {}
    for name, tensor in state.items():
        if not isinstance(tensor, _TensorRef):
            raise ConvertError(
                f"{origin}: every value must be a tensor; {name!r} is {type(tensor).__name__}; "
                "save `model.state_dict()` alone"
            )
        arrays[str(name)] = _array(tensor, storages, f"{origin}: tensor {name!r}")
    return arrays


def _array(tensor: _TensorRef, storages: Mapping[str, bytes], where: str) -> Array:
    """Copy one tensor out of its storage, after a check that its window lies inside."""
    dtype = np.dtype(tensor.storage.dtype)
    data = storages.get(tensor.storage.key, b"")
    steps = [(size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True)]
    n_elements = math.prod(tensor.shape)
    n_needed = max(tensor.offset + sum(steps) + 1, n_elements) if n_elements else 0
    n_stored = len(data) // dtype.itemsize
    if min(tensor.offset, *tensor.shape, *tensor.strides, 0) < 0 or n_needed > n_stored:
        raise ConvertError(
            f"{where} must lie inside its storage of {n_stored} elements; got offset "
            f"{tensor.offset}, shape {tensor.shape}, strides {tensor.strides}; download it again"
        )
    if not n_needed:
        return np.zeros(tensor.shape, dtype)
    elements = np.frombuffer(data, dtype, n_stored)[tensor.offset :]
    strides = [stride * dtype.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(elements, tensor.shape, strides).copy()
