import json

import numpy as np
import pytest

from tools.convert.errors import ConvertError
from tools.convert.tfjs import read_graph
from tools.tests.graphs import converted, integers, node, operations, run, text, tiny_graph

CONVOLUTION = [
    node("nhwc", "Transpose", "x", "to_nhwc"),
    node("padded", "Pad", "nhwc", "pads"),
    node(
        "conv",
        "Conv2D",
        "padded",
        "kernel",
        strides=integers(1, 1, 1, 1),
        padding=text("VALID"),
        data_format=text("NHWC"),
    ),
    node("biased", "Add", "conv", "bias"),
    node("y", "Transpose", "biased", "to_nchw"),
]
CONVOLUTION_CONSTANTS = {
    "to_nhwc": [0, 2, 3, 1],
    "to_nchw": [0, 3, 1, 2],
    "pads": [[0, 0], [1, 1], [1, 1], [0, 0]],
    "kernel": np.ones((3, 3, 1, 1)),
    "bias": [10.0],
}


def test_a_padded_convolution_counts_its_neighbours_and_becomes_one_node():
    model = converted(CONVOLUTION, CONVOLUTION_CONSTANTS, (1, 3, 3))

    y = run(model, np.ones((1, 1, 3, 3)))

    assert y[0, 0].tolist() == [[14, 16, 14], [16, 19, 16], [14, 16, 14]]
    assert operations(model) == ["Conv", "Identity"]


def test_a_convolution_that_is_used_twice_keeps_its_sum_without_the_bias():
    nodes = [*CONVOLUTION[:-1], node("both", "Add", "biased", "conv")]
    nodes.append(node("y", "Transpose", "both", "to_nchw"))

    y = run(converted(nodes, CONVOLUTION_CONSTANTS, (1, 3, 3)), np.ones((1, 1, 3, 3)))

    assert y[0, 0].tolist() == [[18, 22, 18], [22, 28, 22], [18, 22, 18]]


def test_a_batch_of_one_in_the_graph_becomes_any_batch():
    nodes = [node("y", "Reshape", "x", "shape")]
    model = converted(nodes, {"shape": [1, 9]}, (9,))

    y = run(model, np.arange(18).reshape(2, 1, 3, 3))

    assert y.tolist() == [list(range(9)), list(range(9, 18))]


def test_parts_are_joined_and_cut_along_the_axis_that_the_graph_sees():
    nodes = [
        node("nhwc", "Transpose", "x", "to_nhwc"),
        node("leaky", "LeakyRelu", "nhwc", alpha={"f": 0.5}),
        node("joined", "ConcatV2", "nhwc", "leaky", "axis"),
        node("parts", "SplitV", "joined", "sizes", "axis"),
        node("y", "Transpose", "parts:1", "to_nchw"),
    ]
    constants = {"to_nhwc": [0, 2, 3, 1], "to_nchw": [0, 3, 1, 2], "axis": 3, "sizes": [1, 3]}
    model = converted(nodes, constants, (3, 1, 1), shape=(1, 2, 1, 1))

    y = run(model, [[[[4]], [[-6]]]])

    assert y.reshape(-1).tolist() == [-6, 4, -3]


def test_a_shape_that_the_graph_computes_from_constants_is_computed_now():
    nodes = [
        node("dense", "SparseToDense", "places", "n_axes", "value", "default"),
        node("shape", "AddV2", "dense", "offset"),
        node("y", "Reshape", "x", "shape"),
    ]
    constants = {"places": [[1]], "n_axes": [3], "value": [2], "default": 0, "offset": [1, 1, 3]}
    model = converted(nodes, constants, (3, 3))

    assert run(model, np.ones((1, 1, 3, 3))).shape == (1, 3, 3)


def test_a_maximum_over_a_padded_image_sees_the_padding():
    nodes = [
        node("nhwc", "Transpose", "x", "to_nhwc"),
        node("padded", "PadV2", "nhwc", "pads", "value"),
        node(
            "pooled",
            "MaxPool",
            "padded",
            ksize=integers(1, 3, 3, 1),
            strides=integers(1, 2, 2, 1),
            padding=text("VALID"),
        ),
        node("y", "Transpose", "pooled", "to_nchw"),
    ]
    constants = {key: CONVOLUTION_CONSTANTS[key] for key in ("to_nhwc", "to_nchw", "pads")}
    model = converted(nodes, {**constants, "value": -2.0}, (1, 2, 2))

    y = run(model, [[[[-1, -3, -5], [-3, -3, -5], [-5, -5, -5]]]])

    assert y[0, 0].tolist() == [[-1, -2], [-2, -2]]


def test_an_image_is_enlarged_between_the_centres_of_its_pixels():
    nodes = [
        node("nhwc", "Transpose", "x", "to_nhwc"),
        node("large", "ResizeBilinear", "nhwc", "size", half_pixel_centers={"b": True}),
        node("y", "Transpose", "large", "to_nchw"),
    ]
    constants = {"to_nhwc": [0, 2, 3, 1], "to_nchw": [0, 3, 1, 2], "size": [1, 4]}
    model = converted(nodes, constants, (1, 1, 4), shape=(1, 1, 1, 2))

    assert run(model, [[[[0, 4]]]]).reshape(-1).tolist() == [0, 1, 3, 4]


def test_an_unknown_operation_is_named_with_its_node():
    with pytest.raises(
        ConvertError, match=r"tiny.json: node `y` \(Cumsum\).*add it to tensorflow_ops"
    ):
        converted([node("y", "Cumsum", "x")], {}, (1, 3, 3))


def test_a_kernel_that_the_model_computes_is_refused():
    nodes = [node("y", "Conv2D", "x", "x", strides=integers(1, 1, 1, 1), padding=text("VALID"))]

    with pytest.raises(ConvertError, match=r"node `y` \(Conv2D\) must have a constant kernel"):
        converted(nodes, {}, (1, 3, 3))


def test_weights_that_are_cut_off_are_refused():
    model_json, shards = tiny_graph([], {"bias": [1.0, 2.0]})
    shards = {path: data[:-1] for path, data in shards.items()}

    with pytest.raises(ConvertError, match=r"`bias` must end at byte 8 of tiny.bin; got 7 bytes"):
        read_graph(model_json, shards, "tiny.json")


def test_quantized_weights_are_widened():
    weight = {"name": "w", "shape": [2], "dtype": "float32"}
    weight["quantization"] = {"dtype": "uint8", "scale": 0.5, "min": -1.0}
    model = {
        "modelTopology": {"node": []},
        "weightsManifest": [{"paths": ["tiny.bin"], "weights": [weight]}],
    }

    source = read_graph(json.dumps(model).encode(), {"tiny.bin": bytes([0, 4])}, "tiny.json")

    assert source.constants["w"].tolist() == [-1.0, 1.0]


WINDOW = {"strides": integers(1, 1, 1, 1), "padding": text("VALID")}


def texts(*values):
    return {"list": {"s": [text(value)["s"] for value in values]}}


def test_a_convolution_with_what_was_fused_into_it_becomes_two_nodes():
    operands = ("x", "kernel", "bias")
    node_of_three = node(
        "y", "_FusedConv2D", *operands, fused_ops=texts("BiasAdd", "Relu"), **WINDOW
    )
    constants = {"kernel": np.ones((1, 2, 1, 1)), "bias": [-5.0]}
    model = converted([node_of_three], constants, (1, 1, 1), shape=(1, 1, 2, 1))

    y = run(model, [[[[1], [2]]], [[[3], [4]]]])

    assert y.reshape(-1).tolist() == [0, 2]
    assert operations(model).count("Conv") == operations(model).count("Relu") == 1
    assert "Add" not in operations(model)


def test_an_activation_that_is_not_known_is_refused_where_it_is_fused():
    nodes = [node("y", "_FusedConv2D", "x", "kernel", fused_ops=texts("Elu"), **WINDOW)]

    with pytest.raises(ConvertError, match=r"must be fused with BiasAdd or Relu; got Elu"):
        converted(nodes, {"kernel": np.ones((1, 1, 1, 1))}, (1, 1, 1), shape=(1, 1, 1, 1))


def test_a_depthwise_convolution_keeps_channels_apart():
    nodes = [node("y", "DepthwiseConv2dNative", "x", "kernel", **WINDOW)]
    kernel = [[[[1, 10], [100, 1000]]]]  # two results for each of two channels
    model = converted(nodes, {"kernel": np.array(kernel, float)}, (1, 1, 4), shape=(1, 1, 1, 2))

    assert run(model, [[[[2, 3]]]]).reshape(-1).tolist() == [2, 20, 300, 3000]


def test_channels_that_are_added_to_fit_count_as_zeros():
    nodes = [
        node("wide", "Pad", "x", "pads"),
        node("sum", "AddV2", "wide", "shift"),
        node("y", "Relu", "sum"),
    ]
    constants = {"pads": [[0, 0], [0, 0], [0, 0], [0, 1]], "shift": [0.0, -1.0, 5.0]}
    model = converted(nodes, constants, (1, 1, 3), shape=(1, 1, 1, 2))

    assert run(model, [[[[2, 0.5]]]]).reshape(-1).tolist() == [2, 0, 5]


def test_tensors_of_different_rank_are_not_added():
    nodes = [node("flat", "Reshape", "x", "shape"), node("y", "AddV2", "x", "flat")]

    with pytest.raises(ConvertError, match=r"node `y` .* got ranks \[4, 2\]"):
        converted(nodes, {"shape": [1, 9]}, (1, 3, 3))
