"""Reads TFLite files, with weights in float32.

Source: the schema of TFLite files, version 3, for the numbers of fields and dtypes.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.convert.errors import ConvertError
from tools.convert.flatbuffer import BYTE, INT, UINT, Table
from tools.convert.tensorflow_graph import Graph
from tools.convert.tflite_ops import TRANSLATIONS, Draft, Operator, Tensor

IDENTIFIER = b"TFL3"
DTYPES: Mapping[int, str] = MappingProxyType({0: "<f4", 2: "<i4"})
"""Number of a dtype in the schema to numpy's."""

Array = npt.NDArray[Any]


def read_graph(data: bytes, origin: str) -> Graph:
    """Read a TFLite file as a TensorFlow graph; its nodes have the names of the tensors.

    Args:
        data: The whole file.
        origin: What to call the model in errors.

    Raises:
        ConvertError: The file is no TFLite file or damaged, its weights are quantized, or it asks
            for an operator, or a variant of one, that is not supported.
    """
    if data[4:8] != IDENTIFIER:
        raise ConvertError(
            f"{origin}: must have {IDENTIFIER!r} at byte 4; got {data[4:8]!r}; pass a TFLite file"
        )
    try:
        return _read(Table.root(data), origin)
    except (struct.error, IndexError, UnicodeError) as error:
        raise ConvertError(
            f"{origin}: must be a whole TFLite file; reading it ended in "
            f"{type(error).__name__}: {error}; download it again"
        ) from error


def _read(model: Table, origin: str) -> Graph:
    """Read the one graph of a model."""
    graphs = model.tables(2)
    if len(graphs) != 1:
        raise ConvertError(
            f"{origin}: must hold one graph; got {len(graphs)}; export the model without "
            "control flow"
        )
    (graph,) = graphs
    tensors = [Tensor(table.text(3), tuple(table.integers(0))) for table in graph.tables(0)]
    _check_names([tensor.name for tensor in tensors], origin)
    inputs = [tensors[index] for index in graph.integers(1)]
    draft = Draft(batch_size=inputs[0].shape[0])
    for tensor in inputs:
        draft.node(tensor.name, "Placeholder", [])
    for name, value in _constants(graph, tensors, model.tables(4), origin):
        draft.constant(name, value)
    codes = [max(code.number(0, BYTE), code.number(3, INT)) for code in model.tables(1)]
    for table in graph.tables(3):
        _translate(draft, _operator(table, tensors), codes[table.number(0, UINT)], origin)
    return Graph(origin, draft.nodes, draft.constants)


def _check_names(names: Sequence[str], origin: str) -> None:
    """Refuse names that cannot be those of nodes, where `:` parts a name from an output."""
    if len(set(names)) != len(names) or any(":" in name for name in names):
        raise ConvertError(
            f"{origin}: tensors must have names of their own, without `:`; got {len(names)} "
            f"tensors with {len(set(names))} names; export the model with such names"
        )


def _constants(
    graph: Table, tensors: Sequence[Tensor], buffers: Sequence[Table], origin: str
) -> Iterator[tuple[str, Array]]:
    """Yield the name and the value of each tensor that the file holds the elements of."""
    for table, tensor in zip(graph.tables(0), tensors, strict=True):
        quantization = table.table(4)
        dtype = table.number(1, BYTE)
        if dtype not in DTYPES or (quantization and quantization.integers(2)):
            raise ConvertError(
                f"{origin}: tensor `{tensor.name}` must be float32 or int32 and not quantized; "
                f"got dtype {dtype} of the schema; export the model without quantization"
            )
        content = buffers[table.number(2, UINT)].content(0)
        if content:
            yield tensor.name, _array(content, DTYPES[dtype], tensor, origin)


def _array(content: bytes, dtype: str, tensor: Tensor, origin: str) -> Array:
    try:
        return np.frombuffer(content, dtype).reshape(tensor.shape)
    except ValueError as error:
        raise ConvertError(
            f"{origin}: tensor `{tensor.name}` must have the shape {list(tensor.shape)}; got "
            f"{len(content)} bytes; download the model again"
        ) from error


def _operator(table: Table, tensors: Sequence[Tensor]) -> Operator:
    """Read an operator; an index below zero is an optional input that is left out."""
    (output,) = table.integers(2)[:1]
    inputs = [tensors[index] for index in table.integers(1) if index >= 0]
    return Operator(inputs, tensors[output], table.table(4))


def _translate(draft: Draft, operator: Operator, code: int, origin: str) -> None:
    """Add an operator to the TensorFlow graph."""
    where = f"{origin}: tensor `{operator.output.name}`"
    if code not in TRANSLATIONS:
        raise ConvertError(
            f"{where} must come from one of the operators "
            f"{', '.join(map(str, sorted(TRANSLATIONS)))} of the schema; got {code}; "
            "add it to tflite_ops.py"
        )
    try:
        TRANSLATIONS[code](draft, operator)
    except ConvertError as error:
        raise ConvertError(f"{where} {error}") from error
