"""Models are what their card says, and the zoo is whole."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest

from sightflow.errors import CardError, ModelError, PipelineError
from sightflow.models import ModelFile, zoo, zoo_names


def test_a_name_that_is_not_in_the_zoo_is_told_with_those_that_are():
    with pytest.raises(CardError, match=r"no model 'resnet' ships .*'efficientnet_lite0'"):
        zoo("resnet")


def test_the_reference_of_a_file_is_its_path(write_onnx, make_card):
    path = write_onnx()

    assert ModelFile(path, make_card()).reference == path


def test_a_version_is_that_of_the_card_or_the_start_of_the_sha256(tmp_path, make_card):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"abc")

    assert ModelFile(str(path), make_card(version="7")).version == "7"
    assert ModelFile(str(path), make_card()).version == "ba7816bf8f01"  # FIPS 180-2, "abc"


def test_a_model_file_survives_pickling():
    assert pickle.loads(pickle.dumps(zoo("efficientnet_lite0"))) == zoo("efficientnet_lite0")


def test_a_file_that_is_gone_is_told_with_its_card(tmp_path, make_card):
    with pytest.raises(ModelError, match=r"gone\.onnx: no such file, which the card 'means' names"):
        ModelFile(str(tmp_path / "gone.onnx"), make_card()).check()


def test_another_file_than_that_of_the_card_is_refused_with_both_sums(write_onnx, make_card):
    path = write_onnx()
    have = hashlib.sha256(Path(path).read_bytes()).hexdigest()

    ModelFile(path, make_card(sha256=have)).check()
    with pytest.raises(ModelError, match=f"sha256 must be {'0' * 64} as on its card; got {have}"):
        ModelFile(path, make_card(sha256="0" * 64)).check()


def test_a_back_end_that_is_not_known_is_told_with_those_that_are(write_onnx, make_card):
    with pytest.raises(PipelineError, match=r"no back end is named 'tflite'; known: .*onnx"):
        ModelFile(write_onnx(), make_card(backend="tflite")).check()


# --- the zoo -------------------------------------------------------------------------------------


def test_the_zoo_has_a_model_for_each_task():
    assert {name: zoo(name).card.task for name in zoo_names()} == {
        "blazeface_back": "detect_faces",
        "efficientnet_lite0": "classify",
        "mobilefacenet": "embed_faces",
        "mtcnn_onet": "align_faces",
        "nanodet": "detect",
        "road_signs": "classify",
        "roads": "detect",
        "traffic_lights": "classify",
    }


@pytest.mark.parametrize("name", zoo_names())
def test_a_model_of_the_zoo_is_the_file_of_its_card(name):
    model = zoo(name)

    assert model.sha256() == model.card.sha256
    assert model.card.name == name
    assert model.card.licence != "not stated"
    assert model.card.origin != "not stated"
    model.check()


@pytest.mark.parametrize(
    ("name", "n_labels", "first", "last"),
    [
        ("efficientnet_lite0", 1000, "tench", "toilet"),
        ("nanodet", 80, "person", "toothbrush"),
        ("road_signs", 50, "bend to the left", "yield"),
        ("roads", 8, "person", "traffic sign"),
        ("traffic_lights", 4, "green", "yellow"),
    ],
)
def test_a_model_of_the_zoo_has_a_label_for_each_class(name, n_labels, first, last):
    labels = zoo(name).card.labels

    assert len(labels) == n_labels
    assert labels[0].startswith(first)
    assert labels[-1].startswith(last)


def test_the_scenes_of_the_classifier_include_the_seven():
    scenes = zoo("efficientnet_lite0").card.scenes

    assert scenes.keys() >= {
        "coast", "forest", "kitchen", "livingroom", "mountain", "street", "tallbuilding",
    }  # fmt: skip


def test_weights_of_scenes_are_shares_of_existing_classes():
    shares = np.zeros(1000)
    for classes in zoo("efficientnet_lite0").card.scenes.values():
        for class_id, weight in classes.items():
            assert 0 < weight <= 1
            shares[class_id] += weight

    assert shares.max() <= 1 + 1e-6


@pytest.mark.parametrize(
    ("name", "shape", "outputs"),
    [
        ("efficientnet_lite0", (3, 224, 224), {"prob": (2, 1000), "features": (2, 1280)}),
        (
            "nanodet",
            (3, 416, 416),
            {
                "scores_8": (2, 52 * 52, 80),
                "scores_16": (2, 26 * 26, 80),
                "scores_32": (2, 13 * 13, 80),
                "box_logits_32": (2, 13 * 13, 4 * 11),
            },
        ),
    ],
)
def test_a_model_of_the_zoo_runs_on_a_batch_of_two(name, shape, outputs):
    run = zoo(name).load()

    result = run(np.zeros((2, *shape), np.float32))

    assert outputs.items() <= {output: array.shape for output, array in result.items()}.items()
    for array in result.values():
        assert np.allclose(array[0], array[1], atol=1e-5)


def test_a_model_is_shown_by_what_it_is_found_by():
    assert repr(zoo("nanodet")) == "ModelFile('nanodet')"
