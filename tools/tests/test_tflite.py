import struct

import numpy as np
import pytest

from tools.convert.errors import ConvertError
from tools.convert.flatbuffer import BYTE, INT, Table
from tools.convert.onnx_graph import GraphBuilder, Port
from tools.convert.prelu import join_prelus
from tools.convert.tensorflow_graph import write_graph
from tools.convert.tensorflow_ops import View
from tools.convert.tflite import read_graph
from tools.tests.graphs import operations, run

# --- writing files -----------------------------------------------------------------------------
# A part is its bytes and where in them it begins; what it leads to lies behind it.


def numbers(values):
    return struct.pack(f"<I{len(values)}i", len(values), *values), 0


def content(data):
    return struct.pack("<I", len(data)) + data, 0


def text(value):
    return content(value.encode())


def parts(children):
    return joined(struct.pack("<I", len(children)), dict(enumerate(children)), len(children))


def table(fields):
    """Write a table; a field is a number or a part, and takes four bytes."""
    n_fields = max(fields, default=-1) + 1
    places = [4 + 4 * field if field in fields else 0 for field in range(n_fields)]
    listed = struct.pack(f"<HH{n_fields}H", 4 + 2 * n_fields, 4 + 4 * n_fields, *places)
    data, _ = joined(struct.pack("<i", len(listed)), fields, n_fields)
    return listed + data, len(listed)


def joined(head, fields, n_fields):
    """Return a head, then numbers or the distances to parts, then these parts."""
    end = len(head) + 4 * n_fields
    inline, behind = [0] * n_fields, b""
    for field, value in fields.items():
        if isinstance(value, int):
            inline[field] = value
            continue
        data, start = value
        inline[field] = end + len(behind) + start - (len(head) + 4 * field)
        behind += data
    return head + struct.pack(f"<{n_fields}i", *inline) + behind, 0


def tflite_file(tensors, operators, n_graphs=1):
    """Write a TFLite file.

    Args:
        tensors: Name to shape, or to the value of a constant; `x` is the input, `y` the output.
        operators: Number in the schema, names of inputs, name of output, options by number.
        n_graphs: How often to write the graph.
    """
    names = list(tensors)
    buffers, written = [table({})], []
    for name, value in tensors.items():
        is_constant = isinstance(value, np.ndarray)
        fields = {0: numbers(value.shape if is_constant else value), 3: text(name)}
        if is_constant:
            fields |= {1: 2 if value.dtype == np.int32 else 0, 2: len(buffers)}
            buffers.append(table({0: content(value.tobytes())}))
        written.append(table(fields))
    codes = [table({3: code}) for code, *_ in operators]
    steps = [
        table(
            {
                0: index,
                1: numbers([names.index(name) if name else -1 for name in inputs]),
                2: numbers([names.index(output)]),
                4: table(options),
            }
        )
        for index, (_, inputs, output, options) in enumerate(operators)
    ]
    ends = {1: numbers([names.index("x")]), 2: numbers([names.index("y")])}
    graph = table({0: parts(written), **ends, 3: parts(steps)})
    model, start = table({1: parts(codes), 2: parts([graph] * n_graphs), 4: parts(buffers)})
    return struct.pack("<I", 8 + start) + b"TFL3" + model


def converted(tensors, operators, view=None):
    """Convert a file; lengths of shapes but the batch hold for the model too."""
    source = join_prelus(read_graph(tflite_file(tensors, operators), "tiny.tflite"))
    graph = GraphBuilder()
    inputs = {"x": view or View.plain("input", len(tensors["x"]))}
    write_graph(source, graph, inputs=inputs, outputs={"y": "output"})
    shapes = (("N", *tensors[name][1:]) for name in ("x", "y"))
    ports = [[Port(name, shape)] for name, shape in zip(("input", "output"), shapes, strict=True)]
    return graph.model("tiny", *ports, properties={})


def floats(*values, shape=None):
    array = np.array(values, np.float32)
    return array if shape is None else array.reshape(shape)


ADD, CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, MAX_POOL_2D, MUL = 0, 3, 4, 9, 17, 18
RELU, RESHAPE, SUB, DIV, EXP, NEG, SUM, REDUCE_MAX, ABS = 19, 22, 41, 42, 47, 59, 74, 82, 101
VALID = {0: 1, 1: 1, 2: 1}

# --- FlatBuffers -------------------------------------------------------------------------------


def test_a_table_reads_back_and_gives_defaults_for_what_is_left_out():
    fields = {1: -7, 2: numbers([3, -4]), 4: text("é"), 5: table({0: 1}), 6: parts([table({})] * 2)}
    data, start = table(fields)
    read = Table(data, start)

    assert (read.number(1, INT), read.number(0, INT, 5), read.number(99, BYTE)) == (-7, 5, 0)
    assert (read.integers(2), read.integers(3)) == ([3, -4], [])
    assert (read.text(4), read.text(3)) == ("é", "")
    assert read.table(5).number(0, BYTE) == 1
    assert read.table(0) is None
    assert (len(read.tables(6)), read.tables(0)) == (2, [])


# --- operators ---------------------------------------------------------------------------------


def test_a_convolution_takes_weights_with_output_channels_first():
    kernel = floats(1, 10, 100, 1000, shape=(2, 1, 2, 1))
    tensors = {"x": (1, 1, 2, 1), "k": kernel, "b": floats(0.5, 0), "y": (1, 1, 1, 2)}
    model = converted(tensors, [(CONV_2D, ["x", "k", "b"], "y", VALID)])

    y = run(model, [[[[1], [2]]], [[[3], [4]]]])

    assert y.reshape(2, 2).tolist() == [[21.5, 2100], [43.5, 4300]]
    assert operations(model) == ["Transpose", "Conv", "Transpose", "Identity"]


@pytest.mark.parametrize("inputs", [["x", "k"], ["x", "k", ""]])
def test_a_convolution_may_be_without_bias_and_dilated(inputs):
    tensors = {"x": (1, 1, 3, 1), "k": floats(1, 10, shape=(1, 1, 2, 1)), "y": (1, 1, 1, 1)}
    model = converted(tensors, [(CONV_2D, inputs, "y", {**VALID, 4: 2})])

    assert run(model, [[[[1], [2], [3]]]]).item() == 31


def test_a_depthwise_convolution_keeps_channels_apart():
    kernel = floats(1, 10, 100, 1000, shape=(1, 1, 1, 4))  # two results for each of two channels
    tensors = {"x": (1, 1, 1, 2), "k": kernel, "y": (1, 1, 1, 4)}
    model = converted(tensors, [(DEPTHWISE_CONV_2D, ["x", "k"], "y", {**VALID, 3: 2})])

    assert run(model, [[[[2, 3]]]]).reshape(-1).tolist() == [2, 20, 300, 3000]


def test_a_window_reaches_over_the_edge_at_the_end_unless_the_file_says_otherwise():
    tensors = {"x": (1, 1, 3, 1), "y": (1, 1, 2, 1)}
    model = converted(tensors, [(MAX_POOL_2D, ["x"], "y", {1: 2, 2: 1, 3: 2, 4: 1})])

    assert run(model, [[[[-1], [-2], [-3]]]]).reshape(-1).tolist() == [-1, -3]


def test_a_full_connection_reads_a_picture_row_by_row_with_channels_last():
    weights = floats(1000, 100, 10, 1, shape=(1, 4))
    tensors = {"x": (1, 1, 2, 2), "m": np.ones((2, 1, 1, 2), np.float32), "y": (1, 1)}
    tensors |= {"c": (1, 1, 2, 2), "w": weights, "b": floats(0.5)}
    operators = [
        (CONV_2D, ["x", "m"], "c", VALID),
        (FULLY_CONNECTED, ["c", "w", "b"], "y", {}),
    ]

    y = run(converted(tensors, operators), [[[[1, 2], [0, 4]]], [[[0, 0], [0, 1]]]])

    assert y.reshape(-1).tolist() == [3344.5, 11.5]


def test_the_batch_that_a_file_was_made_for_becomes_any_batch():
    tensors = {"x": (2, 1, 1, 3), "s": np.array([2, 3], np.int32), "y": (2, 3)}
    model = converted(tensors, [(RESHAPE, ["x", "s"], "y", {})])

    assert run(model, np.arange(9).reshape(3, 1, 1, 3)).tolist() == [
        [0, 1, 2],
        [3, 4, 5],
        [6, 7, 8],
    ]


def test_scores_that_are_made_by_hand_sum_to_one():
    tensors = {"x": (1, 2), "axis": np.array(1, np.int32), "m": (1, 1), "d": (1, 2)}
    tensors |= {"e": (1, 2), "s": (1, 1), "y": (1, 2)}
    operators = [
        (REDUCE_MAX, ["x", "axis"], "m", {0: 1}),
        (SUB, ["x", "m"], "d", {}),
        (EXP, ["d"], "e", {}),
        (SUM, ["e", "axis"], "s", {0: 1}),
        (DIV, ["e", "s"], "y", {}),
    ]

    y = run(converted(tensors, operators), [[500, 500 + np.log(3)]])

    assert y[0].tolist() == pytest.approx([0.25, 0.75], rel=1e-4)


def test_a_picture_may_come_in_with_other_axes_than_the_file_wants():
    kernel = floats(1, 10, shape=(1, 2, 1, 1))
    tensors = {"x": (1, 2, 1, 1), "k": kernel, "y": (1, 1, 1, 1)}
    source = read_graph(tflite_file(tensors, [(CONV_2D, ["x", "k"], "y", VALID)]), "tiny.tflite")
    graph = GraphBuilder()
    write_graph(source, graph, {"x": View.ordered("input", (0, 2, 1, 3))}, {"y": "output"})
    ports = [Port("input", ("N", 1, 2, 1))], [Port("output", ("N", 1, 1, 1))]
    model = graph.model("tiny", *ports, properties={})

    assert run(model, [[[[3], [4]]]]).item() == 43
    assert operations(model).count("Transpose") == 2


# --- parametric ReLUs --------------------------------------------------------------------------

POSITIVE = (RELU, ["x"], "p", {})
BY_NEGATION = [(NEG, ["x"], "n", {}), (RELU, ["n"], "r", {}), (NEG, ["r"], "low", {})]
BY_MAGNITUDE = [(ABS, ["x"], "n", {}), (SUB, ["x", "n"], "low", {})]


def spelled_out(negative, slopes, factors=("slope", "low"), terms=("p", "scaled")):
    tensors = {"x": (1, 1, 1, 2), "slope": slopes}
    tensors |= dict.fromkeys(("p", "n", "r", "low", "scaled", "y"), (1, 1, 1, 2))
    ends = [(MUL, list(factors), "scaled", {}), (ADD, list(terms), "y", {})]
    return tensors, [POSITIVE, *negative, *ends]


@pytest.mark.parametrize("factors", [("slope", "low"), ("low", "slope")])
@pytest.mark.parametrize("terms", [("p", "scaled"), ("scaled", "p")])
@pytest.mark.parametrize(
    ("negative", "slopes"), [(BY_NEGATION, (0.25, 4)), (BY_MAGNITUDE, (0.125, 2))]
)
def test_a_parametric_relu_that_is_spelled_out_becomes_one_node(negative, slopes, factors, terms):
    model = converted(*spelled_out(negative, floats(*slopes), factors, terms))

    y = run(model, [[[[-8, -8]]], [[[3, 0]]]])

    assert y.reshape(2, 2).tolist() == [[-2, -32], [3, 0]]
    assert operations(model) == ["PRelu", "Identity"]


def test_what_only_looks_like_a_parametric_relu_is_not_taken_for_one():
    tensors, operators = spelled_out([(NEG, ["x"], "low", {})], floats(1, 1))

    with pytest.raises(ConvertError, match=r"node `low` \(Neg\) must be one of the operations"):
        converted(tensors, operators)


# --- files that are refused --------------------------------------------------------------------

PLAIN = {"x": (1, 2), "y": (1, 2)}


def test_a_file_of_another_kind_is_refused():
    with pytest.raises(
        ConvertError, match=r"tiny.tflite: must have b'TFL3' at byte 4; got b'\[\]'"
    ):
        read_graph(b"{...[]", "tiny.tflite")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_that_is_cut_off_is_named(share):
    tensors = {"x": (1, 1, 1, 1), "k": np.ones((9, 1, 1, 1), np.float32), "y": (1, 1, 1, 9)}
    data = tflite_file(tensors, [(CONV_2D, ["x", "k"], "y", VALID)])

    with pytest.raises(ConvertError, match=r"^tiny.tflite: must be a whole TFLite file"):
        read_graph(data[: int(share * len(data))], "tiny.tflite")


@pytest.mark.parametrize(
    ("tensors", "operators", "message"),
    [
        (PLAIN, [(25, ["x"], "y", {})], "tensor `y` must come from one of .*; got 25; add it to"),
        (
            PLAIN,
            [(ADD, ["x", "x"], "y", {0: 3})],
            "tensor `y` must have its activation .* got activation 3",
        ),
        (
            PLAIN,
            [(FULLY_CONNECTED, ["x", "x"], "y", {})],
            "must have a constant matrix; got `x`, which the model computes",
        ),
        (PLAIN, [(FULLY_CONNECTED, ["x", "x"], "y", {2: 1})], "got shuffled weights or"),
        (
            {"x": (2, 3), "y": (6,)},
            [(RESHAPE, ["x"], "y", {})],
            r"must keep the batch of 2 .*\[6\]",
        ),
        (
            {**PLAIN, "w:0": (1,)},
            [],
            r"names of their own, without `:`; got 3 tensors with 3 names",
        ),
    ],
)
def test_what_is_not_supported_is_named(tensors, operators, message):
    with pytest.raises(ConvertError, match=f"^tiny.tflite: .*{message}"):
        read_graph(tflite_file(tensors, operators), "tiny.tflite")


def test_a_file_with_several_graphs_is_refused():
    with pytest.raises(ConvertError, match=r"tiny.tflite: must hold one graph; got 2"):
        read_graph(tflite_file(PLAIN, [], n_graphs=2), "tiny.tflite")


@pytest.mark.parametrize("fields", [{1: 9}, {4: table({2: numbers([1])})}])
def test_a_quantized_tensor_is_refused(fields):
    tensor = table({0: numbers([1]), 3: text("x"), **fields})
    graph = table({0: parts([tensor]), 1: numbers([0]), 2: numbers([0])})
    model, start = table({2: parts([graph]), 4: parts([table({})])})

    with pytest.raises(
        ConvertError, match=r"tensor `x` must be float32 or int32 and not quantized"
    ):
        read_graph(struct.pack("<I", 8 + start) + b"TFL3" + model, "tiny.tflite")
