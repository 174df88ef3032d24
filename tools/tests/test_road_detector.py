import numpy as np
import pytest
from tests.pytorch import needs_torch

from sightflow.learn.detection_head import DetectionHead
from sightflow.learn.optimiser import Optimiser
from sightflow.models import Card, ModelFile, find_model, zoo
from sightflow.protocols import Inference
from sightflow.tasks.detect import Detect
from sightflow.testing import a_context, a_record, draw_scene
from tools.roads.detector import LABELS, write_detector
from tools.roads.errors import RoadsError

OF_PHOTOS = ("crosswalk", "speedlimit", "stop", "trafficlight")

pytestmark = needs_torch


@pytest.fixture
def trained(tmp_path):
    exported = DetectionHead(width=4, depth=1).open(4, (), Optimiser(), 0).export()
    (tmp_path / "trained.onnx").write_bytes(exported.onnx)
    card = Card("road_objects", exported.task, exported.input, exported.head, OF_PHOTOS)
    return ModelFile(str(tmp_path / "trained.onnx"), card)


def outputs_of(model):
    batch = np.random.default_rng(0).normal(0, 1, (1, 3, 416, 416)).astype(np.float32)
    return model.load(Inference(device="cpu"))(batch)


def test_one_network_says_what_the_trunk_says_and_what_was_trained(trained, tmp_path):
    path = write_detector(trained, tmp_path / "roads")

    (path.with_name("model.yaml")).write_bytes(path.with_name("card.yaml").read_bytes())
    found = outputs_of(find_model(str(path)))
    for model in (zoo("nanodet"), trained):
        for name, output in outputs_of(model).items():
            assert found[name] == pytest.approx(output, abs=1e-5), name


def test_its_card_knows_vehicles_people_lights_and_signs(trained, tmp_path):
    path = write_detector(trained, tmp_path / "roads")

    (path.with_name("model.yaml")).write_bytes(path.with_name("card.yaml").read_bytes())
    model = find_model(str(path))
    model.check()
    assert model.card.labels == LABELS
    detect = Detect(model, min_score=0.00001, max_objects=20_000)
    detect.check()
    (record,) = detect.open(a_context())([a_record(draw_scene(boxes=[(40, 40, 120, 150)]))])
    assert {"traffic sign", "traffic light"} <= set(record.detections.labels)


def test_a_head_of_other_classes_is_refused(trained, tmp_path):
    card = Card("cats", "detect", trained.card.input, trained.card.head, ("cat",))
    with pytest.raises(RoadsError, match=r"must find \['crosswalk', .*; it finds \['cat'\]"):
        write_detector(ModelFile(trained.path, card), tmp_path / "roads")
