"""Tiny ONNX models, cards that fit them, and registries of each kind."""

from contextlib import suppress
from dataclasses import replace

import fsspec
import numpy as np
import pytest
from onnx import TensorProto, helper, save_model

from sightflow.models import Card, ModelInput, Registry
from sightflow.ops.preprocess import Preprocess


@pytest.fixture
def write_onnx(tmp_path):
    """Return a function that writes a model whose output `scores` is the mean of each channel."""

    def write(shape=("B", 3, 8, 8), *, dtype=np.float32, names=("images",), file="net.onnx"):
        element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        axes = [1, 2] if shape[-1] == 3 else list(range(2, len(shape)))
        nodes = [
            helper.make_node("Cast", [names[0]], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["floats"], ["scores"], axes=axes, keepdims=0),
            helper.make_node("Neg", ["scores"], ["negative"]),
        ]
        graph = helper.make_graph(
            nodes,
            "means",
            [helper.make_tensor_value_info(name, element, shape) for name in names],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
                for name in ("scores", "negative")
            ],
        )
        path = tmp_path / file
        opset = helper.make_opsetid("", 17)
        save_model(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
        return str(path)

    return write


@pytest.fixture
def make_card():
    """Return a function that makes a card for such a model; changes name fields of the card."""

    def make(preprocess=None, *, input_name=None, **changes):
        preprocess = preprocess or Preprocess(stretch=(8, 8), std=(255, 255, 255))
        card = Card(
            name="means",
            task="classify",
            input=ModelInput(preprocess, input_name),
            head={"kind": "Probabilities"},
            labels=("red", "green", "blue"),
        )
        return replace(card, **changes)

    return make


@pytest.fixture
def folder(tmp_path):
    return Registry(str(tmp_path / "models"))


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """Give a registry in an object store, and a cache folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield Registry(f"memory://{tmp_path.name}/models")
    with suppress(FileNotFoundError):
        fsspec.filesystem("memory").rm(f"/{tmp_path.name}", recursive=True)


@pytest.fixture(params=["folder", "file url", "memory"])
def registry(request, tmp_path):
    """Give a registry of each kind."""
    if request.param == "file url":
        return Registry(f"file://{tmp_path}/models")
    return request.getfixturevalue(request.param)
