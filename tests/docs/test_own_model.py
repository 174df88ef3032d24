"""docs/how-to/own-model.md prints and warns as it says."""

import pytest
from tests.docs.conftest import save_constant_model
from tests.docs.pages import ROOT, blocks, table

from sightflow import Classify, Detect, Directory, Pipeline, RunSettings, find_model, run
from sightflow.errors import SightflowError

PAGE = "docs/how-to/own-model.md"
MESSAGES = [row[0] for row in table(PAGE, "What the errors say")]


def run_on_a_photo(step):
    pipeline = Pipeline(Directory("photos/0000.jpg")).apply("step", step(find_model("my.onnx")))
    run(pipeline, RunSettings(runner="inline"))


def test_names_and_shapes_are_printed_as_the_page_shows(place, capsys):
    code = blocks("python", ROOT / PAGE)[0].text
    exec(code, {})
    assert capsys.readouterr().out == blocks("text", ROOT / PAGE)[0].text


@pytest.mark.parametrize(
    ("row", "old", "new"),
    [
        (1, "labels: [gate, fence]", ""),
        (2, "labels:", "label:"),
        (3, "gates", "gates"),
        (4, "640, 640", "320, 320"),
        (5, ", std: [255, 255, 255]", ""),
        (7, "input:", "input:\n  name: x"),
        (8, "{kind: Yolo}", "{kind: Yolo, output: boxes}"),
        (9, "{kind: Yolo}", "{kind: XyxyScoreClass}"),
        (10, "gate, fence", "gate"),
        (11, "{kind: Yolo}", "{kind: Yolov8}"),
        (12, "name: gates", "name: gates\nsha256: abc"),
    ],
)
def test_a_mistake_on_the_card_gives_the_message_of_the_page(row, old, new, place):
    answer = [[320], [320], [320], [160], [0.1], [0.9]]  # a fence
    save_constant_model(place / "my.onnx", answer, size=(640, 640), output="output0")
    text = (place / "my.yaml").read_text()
    assert old in text
    (place / "my.yaml").write_text(text.replace(old, new))
    step = Classify if "classify" in MESSAGES[row] else Detect
    with pytest.raises(SightflowError) as error:
        run_on_a_photo(step)
    assert MESSAGES[row] in str(error.value)


def test_a_model_without_a_card_or_with_damaged_weights_is_refused(place):
    assert len(MESSAGES) == 14
    (place / "my.onnx").write_text("no model")
    with pytest.raises(SightflowError) as error:
        find_model("my.onnx").check()
    assert MESSAGES[13] in str(error.value)
    (place / "my.yaml").unlink()
    with pytest.raises(SightflowError) as error:
        find_model("my.onnx")
    assert MESSAGES[0] in str(error.value)


@pytest.mark.parametrize("batch", [1, "B"])
def test_a_file_for_one_image_at_a_time_works_like_one_for_batches(batch, place):
    answer = [[320], [320], [320], [160], [0.9], [0.1]]
    save_constant_model(place / "my.onnx", answer, size=(640, 640), output="output0", batch=batch)
    pipeline = Pipeline(Directory("photos")).apply("step", Detect(find_model("my.onnx")))
    assert run(pipeline, RunSettings(runner="inline")).ledger.recognised == 3


def test_a_batch_fixed_at_another_number_is_refused(place):
    save_constant_model(place / "my.onnx", [[0]] * 6, size=(640, 640), batch=4)
    with pytest.raises(SightflowError, match=r"\[4, 3, 640, 640\]"):
        find_model("my.onnx").check()
