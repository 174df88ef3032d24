"""A quantised file answers as the float one did; what cannot be quantised is refused."""

import numpy as np
import onnx
import pytest
from tests.classifiers import COLOURS, save_colour_classifier

from sightflow.errors import ModelError, SourceError
from sightflow.models import ModelFile, find_model
from sightflow.models.quantization import write_int8
from sightflow.protocols import Inference


def pictures():
    """Yield a red, a green and a blue picture as the model takes them."""
    for colour in COLOURS.values():
        yield np.full((1, 8, 8, 3), colour, np.float32).transpose(0, 3, 1, 2) / 255


@pytest.fixture
def colours(tmp_path):
    return find_model(save_colour_classifier(tmp_path / "colours.onnx"))


def stored(path, dtype):
    """Return the stored arrays of a dtype with more than one axis: the weights."""
    arrays = [onnx.numpy_helper.to_array(w) for w in onnx.load(path).graph.initializer]
    return [array for array in arrays if array.dtype == dtype and array.ndim > 1]


@pytest.mark.parametrize("per_channel", [True, False])
def test_the_int8_form_takes_the_same_input_and_gives_nearly_the_same_answer(
    colours, tmp_path, per_channel
):
    out = tmp_path / "int8.onnx"

    write_int8(colours, out, pictures(), per_channel=per_channel)

    int8 = ModelFile(str(out), colours.card)
    int8.check()
    runs = colours.load(Inference(device="cpu")), int8.load(Inference(device="cpu"))
    for batch in pictures():
        expected, found = (run(batch)["prob"] for run in runs)
        assert found == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(("per_channel", "largest"), [(True, 64), (False, 127)])
def test_weights_with_a_scale_a_channel_use_7_bits_and_others_8(
    colours, tmp_path, per_channel, largest
):
    write_int8(colours, tmp_path / "int8.onnx", pictures(), per_channel=per_channel)

    weights = stored(tmp_path / "int8.onnx", np.int8)
    assert len(weights) == 2
    assert {int(np.abs(weight).max()) for weight in weights} == {largest}
    assert stored(tmp_path / "int8.onnx", np.float32) == []


def test_probabilities_are_not_rounded_to_steps_of_a_256th(colours, tmp_path):
    write_int8(colours, tmp_path / "int8.onnx", pictures(), per_channel=True)

    graph = onnx.load(tmp_path / "int8.onnx").graph
    (last,) = [node for node in graph.node if "prob" in node.output]
    assert last.op_type == "Softmax"
    (before,) = [node for node in graph.node if last.input[0] in node.output]
    assert before.op_type == "Gemm"


@pytest.mark.parametrize(("batch", "opset"), [(1, 17), ("B", 11)])
def test_models_for_one_image_and_of_an_older_opset_are_quantised(tmp_path, batch, opset):
    path = save_colour_classifier(tmp_path / "old.onnx", batch=batch, opset=opset)
    model = find_model(path)

    write_int8(model, tmp_path / "int8.onnx", pictures(), per_channel=True)

    run = ModelFile(str(tmp_path / "int8.onnx"), model.card).load(Inference(device="cpu"))
    assert [int(run(batch)["prob"].argmax()) for batch in pictures()] == [0, 1, 2]


def test_a_quantised_file_is_not_quantised_again(colours, tmp_path):
    write_int8(colours, tmp_path / "int8.onnx", pictures(), per_channel=True)
    again = ModelFile(str(tmp_path / "int8.onnx"), colours.card)

    with pytest.raises(
        ModelError, match=r"int8\.onnx: must be a float model; is quantised already; take"
    ):
        write_int8(again, tmp_path / "twice.onnx", pictures(), per_channel=True)


def test_a_model_without_layers_for_int8_is_refused(write_onnx, make_card, tmp_path):
    model = ModelFile(write_onnx(), make_card())

    with pytest.raises(
        ModelError,
        match=r"net\.onnx: needs layers that can be int8.*; has Cast, Neg, ReduceMean; keep",
    ):
        write_int8(model, tmp_path / "int8.onnx", pictures(), per_channel=True)


def test_what_onnx_and_its_runtime_raise_names_the_file(colours, tmp_path):
    with pytest.raises(ModelError, match=r"colours\.onnx: cannot be quantised: "):
        write_int8(colours, tmp_path / "int8.onnx", iter(()), per_channel=True)


def test_an_error_of_the_pictures_stays_what_it_is(colours, tmp_path):
    def none():
        raise SourceError("no pictures")
        yield

    with pytest.raises(SourceError, match=r"^no pictures$"):
        write_int8(colours, tmp_path / "int8.onnx", none(), per_channel=True)
