"""Functions of a job made ready for another machine: what is a place here is named by what it is.

PyFlink pickles each function. On a cluster its pipeline names files of the client, and Sightflow
itself may not be there yet. So a function goes in a parcel: an inner pickle in which places are
replaced, and around it a call that unpacks it, of a file that needs nothing (`unpacking.py`).
"""

import hashlib
import importlib.util
import io
import pickle
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle

from sightflow.flink import unpacking
from sightflow.flink.runfiles import RunFiles
from sightflow.models import ModelFile, zoo_names

__all__ = ["Parcels", "is_in_the_wheel", "name_of_weights", "unpacking_file"]

_TEXT = Path(unpacking.__file__)
_PATCHING = threading.Lock()


def is_in_the_wheel(model: ModelFile) -> bool:
    """Return whether a model ships with Sightflow, and is there wherever that is."""
    return model.reference in zoo_names()


def name_of_weights(model: ModelFile) -> str:
    """Return the name of a model's file among those that travel."""
    return f"{model.sha256()}{Path(model.path).suffix}"


def unpacking_file() -> tuple[str, bytes]:
    """Return name and text of the file that unpacks; another text has another name."""
    text = _TEXT.read_bytes()
    return f"sightflow_unpacking_{hashlib.sha256(text).hexdigest()[:8]}.py", text


@dataclass(frozen=True)
class Parcels:
    """How the functions of one job are sent."""

    needs: Mapping[str, Any]
    """What `unpacking.unpack` takes."""

    def pack(self, function: Any) -> bytes:
        """Return a function in a parcel."""
        inner = io.BytesIO()
        _Pickler(inner).dump(function)
        return pickle.dumps(_Call(_module().unpack, dict(self.needs), inner.getvalue()))

    @contextmanager
    def used(self) -> Iterator[None]:
        """Let PyFlink send all functions that are put into a graph meanwhile in parcels."""
        with _PATCHING:
            usual = cloudpickle.dumps
            cloudpickle.dumps = self.pack
            try:
                yield
            finally:
                cloudpickle.dumps = usual


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Names the files of the run and the models instead of telling where they are."""

    def persistent_id(self, obj: Any) -> Any:
        """Return what `unpacking` finds it by, or None for all else."""
        if isinstance(obj, RunFiles):
            return ("files",)
        if isinstance(obj, ModelFile):
            if is_in_the_wheel(obj):
                return "zoo", obj.reference
            return "weights", name_of_weights(obj), obj.card, obj.address
        return None


class _Call:
    """Is pickled as the call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> Any:
        return self._call


def _module() -> ModuleType:
    """Return `unpacking` under the name that it has on a TaskManager."""
    name = unpacking_file()[0].removesuffix(".py")
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, _TEXT)
        if spec is None or spec.loader is None:
            raise ImportError(f"{_TEXT}: cannot be loaded")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name]
