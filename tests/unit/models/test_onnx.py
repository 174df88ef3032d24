"""The ONNX Runtime back end refuses what does not fit, and runs what does."""

import numpy as np
import onnxruntime
import pytest

from sightflow.errors import ModelError
from sightflow.models import ModelFile
from sightflow.models.onnx import Onnx
from sightflow.ops.preprocess import Preprocess
from sightflow.protocols import Inference

TO_UNIT = {"std": (255, 255, 255)}
GREY_MEANS = [[0.2, 0.4, 0.6]]  # of 51, 102, 153


@pytest.mark.parametrize(
    ("shape", "preprocess"),
    [
        (("B", 3, 8, 8), Preprocess(stretch=(8, 8), **TO_UNIT)),
        (("B", 3, "H", "W"), Preprocess(letterbox=(6, 4), **TO_UNIT)),
        (("B", 8, 8, 3), Preprocess(stretch=(8, 8), layout="HWC", **TO_UNIT)),
    ],
)
def test_a_model_that_fits_its_card_is_accepted_and_runs(write_onnx, make_card, shape, preprocess):
    model = ModelFile(write_onnx(shape), make_card(preprocess))
    image, _ = preprocess.compile()(np.full((8, 8, 3), (51, 102, 153), np.uint8))

    outputs = model.load()(image[None])

    if preprocess.stretch:
        assert outputs["scores"] == pytest.approx(np.array(GREY_MEANS), abs=1e-6)
    assert list(outputs) == ["scores", "negative"]
    assert (outputs["negative"] == -outputs["scores"]).all()


def test_each_item_of_a_batch_has_its_own_answer(write_onnx, make_card):
    run = ModelFile(write_onnx(), make_card()).load(Inference(n_threads=2))
    batch = np.arange(5, dtype=np.float32)[:, None, None, None] * np.ones((1, 3, 8, 8), np.float32)

    assert run(batch)["scores"][:, 0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("shape", "preprocess", "message"),
    [
        (
            ("B", 3, 8, 8),
            Preprocess(stretch=(6, 4), **TO_UNIT),
            r"`images` is tensor\(float\) \['B', 3, 8, 8\]; its card makes .*\['B', 3, 6, 4\]",
        ),
        (
            ("B", 8, 8, 3),
            Preprocess(stretch=(8, 8), **TO_UNIT),
            r"`images` .*\['B', 8, 8, 3\]; its card makes float32 \['B', 3, 8, 8\].*layout",
        ),
        (
            ("B", 1, 8, 8),
            Preprocess(stretch=(8, 8), **TO_UNIT),
            r"`images` .*\['B', 1, 8, 8\]; its card makes float32 \['B', 3, 8, 8\]",
        ),
        (
            ("B", 3, 8),
            Preprocess(stretch=(8, 8), **TO_UNIT),
            r"`images` .*\['B', 3, 8\]; its card makes",
        ),
    ],
)
def test_another_input_than_that_of_the_card_is_refused_with_both_shapes(
    write_onnx, make_card, shape, preprocess, message
):
    with pytest.raises(ModelError, match=rf"net\.onnx: input {message}"):
        Onnx().load(write_onnx(shape), make_card(preprocess), Inference())


@pytest.mark.parametrize(
    ("dtype", "name"), [(np.uint8, "uint8"), (np.float16, "float16"), (np.float64, "double")]
)
def test_an_input_that_is_not_float32_is_refused(write_onnx, make_card, dtype, name):
    with pytest.raises(ModelError, match=rf"`images` is tensor\({name}\) .* makes float32"):
        Onnx().load(write_onnx(dtype=dtype), make_card(), Inference())


def test_a_card_that_does_not_normalise_is_refused(write_onnx, make_card):
    """Without `mean` and `std` the preprocessing gives uint8 [H, W, 3]."""
    with pytest.raises(ModelError, match="uint8"):
        Onnx().load(write_onnx(), make_card(Preprocess(stretch=(8, 8))), Inference())


def test_a_card_whose_size_depends_on_the_picture_does_not_fit_a_fixed_size(write_onnx, make_card):
    with pytest.raises(ModelError, match=r"\['B', 3, 8, 8\]"):
        Onnx().load(write_onnx(), make_card(Preprocess(resize=8, **TO_UNIT)), Inference())


def test_a_model_for_a_batch_of_one_is_called_image_by_image(write_onnx, make_card):
    """Many models are exported for one image; a step calls with up to `batch_size`."""
    path = write_onnx((1, 3, 8, 8))
    batch = np.arange(3 * 3 * 8 * 8, dtype=np.float32).reshape(3, 3, 8, 8)

    outputs = Onnx().load(path, make_card(), Inference())(batch)

    assert {name: len(output) for name, output in outputs.items()} == dict.fromkeys(outputs, 3)
    single = Onnx().load(path, make_card(), Inference())(batch[2:])
    assert all((outputs[name][2:] == single[name]).all() for name in outputs)


def test_any_other_batch_that_is_fixed_in_the_file_is_refused(write_onnx, make_card):
    with pytest.raises(
        ModelError, match=r"\[4, 3, 8, 8\]; its card makes float32 \['B', 3, 8, 8\]"
    ):
        Onnx().load(write_onnx((4, 3, 8, 8)), make_card(), Inference())


def test_of_several_inputs_the_card_must_name_one(write_onnx, make_card):
    path = write_onnx(names=("images", "sizes"))

    with pytest.raises(
        ModelError, match=r"`input\.name` must be one of \['images', 'sizes'\]; got N"
    ):
        Onnx().load(path, make_card(), Inference())


def test_an_input_that_the_file_lacks_is_refused(write_onnx, make_card):
    with pytest.raises(ModelError, match=r"`input\.name` must be one of \['images'\]; got 'x'"):
        Onnx().load(write_onnx(), make_card(input_name="x"), Inference())


def test_a_file_that_is_no_model_is_refused(tmp_path, make_card):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"no model at all")

    with pytest.raises(ModelError, match=r"net\.onnx: ONNX Runtime cannot load it"):
        Onnx().load(str(path), make_card(), Inference())


def test_a_gpu_that_is_not_there_is_refused_by_name(write_onnx, make_card):
    needs = r"device 'cuda:1' needs ONNX Runtime's CUDAExecutionProvider; .*`onnxruntime-gpu`"

    with pytest.raises(ModelError, match=needs):
        Onnx().load(write_onnx(), make_card(), Inference(device="cuda:1"))


def test_without_a_gpu_auto_takes_the_cpu_which_gains_nothing_from_batches(write_onnx, make_card):
    run = Onnx().load(write_onnx(), make_card(), Inference(device="auto"))

    assert not run.gains_from_batches


def test_a_provider_that_does_not_start_is_told(write_onnx, make_card, monkeypatch):
    """ONNX Runtime lists what it was built with, and goes on without what does not start."""
    monkeypatch.setattr(
        "onnxruntime.get_available_providers",
        lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
    )
    monkeypatch.setattr("onnxruntime.InferenceSession", _on_the_cpu)

    with pytest.raises(ModelError, match=r"it did not start and CPUExecutionProvider would be"):
        Onnx().load(write_onnx(), make_card(), Inference(device="cuda"))
    Onnx().load(write_onnx(), make_card(), Inference(device="auto"))


def _on_the_cpu(path, options, providers, session=onnxruntime.InferenceSession):
    assert providers[0] == ("CUDAExecutionProvider", {"device_id": 0})
    return session(path, options, providers=["CPUExecutionProvider"])
