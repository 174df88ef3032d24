"""Reads TensorFlow.js graph models.

Source: the layout of `model.json` that the TensorFlow.js converter writes for format `graph-model`,
with weights in plain or quantized form.
"""

import base64
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.convert.errors import ConvertError
from tools.convert.tensorflow_graph import Graph
from tools.convert.tensorflow_ops import Node

STORED_DTYPES: Mapping[str, str] = MappingProxyType(
    {
        "float32": "<f4",
        "float16": "<f2",
        "int32": "<i4",
        "uint16": "<u2",
        "uint8": "|u1",
        "bool": "|b1",
    }
)
"""Name of a dtype in `model.json` to numpy's."""

Array = npt.NDArray[Any]


def read_graph(model_json: bytes, shards: Mapping[str, bytes], origin: str) -> Graph:
    """Read a graph model.

    Args:
        model_json: Contents of `model.json`.
        shards: Contents of the weight files, by the paths that `model.json` gives them.
        origin: What to call the model in errors.

    Raises:
        ConvertError: The files are no graph model, or are cut off.
    """
    try:
        model = json.loads(model_json)
        if model.get("format", "graph-model") != "graph-model":
            raise ConvertError(
                f"{origin}: format must be 'graph-model'; got {model['format']!r}; "
                "convert the layers model to a graph model first"
            )
        nodes = {raw["name"]: _node(raw) for raw in model["modelTopology"]["node"]}
        constants = dict(_weights(model["weightsManifest"], shards, origin))
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError, UnicodeError) as error:
        raise ConvertError(
            f"{origin}: must be the `model.json` of a graph model with all its weight files; got "
            f"{type(error).__name__}: {error}; pass the files of one model"
        ) from error
    return Graph(origin, nodes, constants)


def _node(raw: Mapping[str, Any]) -> Node:
    """Read a node; control inputs, which carry no value, are left out."""
    return Node(
        name=raw["name"],
        op=raw["op"],
        inputs=tuple(name for name in raw.get("input", ()) if not name.startswith("^")),
        attributes={key: _attribute(value) for key, value in raw.get("attr", {}).items()},
    )


def _attribute(raw: Mapping[str, Any]) -> Any:
    """Read the JSON form of a TensorFlow attribute; a kind that no operation needs becomes None."""
    match raw:
        case {"s": text}:
            return base64.b64decode(text).decode()
        case {"i": number}:
            return int(number)
        case {"f": number}:
            return float(number)
        case {"b": flag}:
            return bool(flag)
        case {"shape": shape}:
            return [int(axis.get("size", -1)) for axis in shape.get("dim", ())]
        case {"list": {"i": numbers}}:
            return [int(number) for number in numbers]
        case {"list": {"s": texts}}:
            return [base64.b64decode(text).decode() for text in texts]
        case {"list": _}:
            return []
    return None


def _weights(
    manifest: Sequence[Mapping[str, Any]], shards: Mapping[str, bytes], origin: str
) -> Iterator[tuple[str, Array]]:
    """Yield the name and the value of each constant."""
    for group in manifest:
        data = b"".join(shards[path] for path in group["paths"])
        offset = 0
        for entry in group["weights"]:
            dtype = _stored_dtype(entry, origin)
            n_elements = math.prod(entry["shape"])
            end = offset + n_elements * dtype.itemsize
            if end > len(data):
                raise ConvertError(
                    f"{origin}: weight `{entry['name']}` must end at byte {end} of "
                    f"{', '.join(group['paths'])}; got {len(data)} bytes; download the model again"
                )
            stored = np.frombuffer(data, dtype, n_elements, offset).reshape(entry["shape"])
            yield entry["name"], _dequantized(stored, entry)
            offset = end


def _stored_dtype(entry: Mapping[str, Any], origin: str) -> np.dtype[Any]:
    name = entry.get("quantization", entry)["dtype"]
    if name not in STORED_DTYPES:
        raise ConvertError(
            f"{origin}: weight `{entry['name']}` must be stored as one of "
            f"{', '.join(STORED_DTYPES)}; got {name}; export the model with another dtype"
        )
    return np.dtype(STORED_DTYPES[name])


def _dequantized(stored: Array, entry: Mapping[str, Any]) -> Array:
    """Return a weight as float32, int32 or bool."""
    quantization = entry.get("quantization", {})
    if "scale" in quantization:
        stored = stored.astype(np.float32) * quantization["scale"] + quantization["min"]
    return stored.astype(entry["dtype"])
