"""Loaded models, shared: all workers of a process that want the same model get the same one."""

import os
import threading
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sightflow.models.backend import Backend
from sightflow.models.batching import MicroBatcher
from sightflow.models.card import Card
from sightflow.protocols import Inference, Model

__all__ = ["load_shared"]

_GREY = np.full((64, 64, 3), 128, np.uint8)

_loading = threading.Lock()
_loaded: "weakref.WeakValueDictionary[tuple[object, ...], Model]" = weakref.WeakValueDictionary()


class _Loaded:
    """A loaded model that can be referred to weakly, whatever the back end returned."""

    def __init__(self, call: Model) -> None:
        self._call = call

    def __call__(self, batch: npt.NDArray[Any]) -> Mapping[str, npt.NDArray[Any]]:
        return self._call(batch)


def load_shared(backend: Backend, path: str, card: Card, inference: Inference) -> Model:
    """Return a loaded and warmed-up model; the same one as long as somebody holds it.

    A model that gains from large batches, as on a GPU, merges the calls of its users; so does any
    model when `inference.max_wait_ms` says how long to wait for others.

    Raises:
        ModelError: the back end cannot load it, or not on this device.
    """
    file = os.stat(path)
    key = (
        path,
        file.st_mtime_ns,
        file.st_size,
        card.backend,
        repr(card.input),
        card.fp16,
        inference,
    )
    with _loading:
        model = _loaded.get(key)
        if model is None:
            model = _load(backend, path, card, inference)
            _loaded[key] = model
    return model


def _load(backend: Backend, path: str, card: Card, inference: Inference) -> Model:
    model = backend.load(path, card, inference)
    merged = getattr(model, "gains_from_batches", False) or inference.max_wait_ms is not None
    sizes = {1, inference.max_batch} if merged else {1}
    prepared, _ = card.input.preprocess.compile()(_GREY)
    for size in sorted(sizes):  # the first call of each size is slow: memory, kernels, engines
        model(np.stack([prepared] * size))
    if not merged:
        return _Loaded(model)
    wait_ms = inference.max_wait_ms or 0.0
    return MicroBatcher(model, max_batch=inference.max_batch, max_wait_ms=wait_ms)
