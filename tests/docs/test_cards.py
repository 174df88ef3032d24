"""docs/reference/cards.md has every field and head, and its cards do what they say."""

import numpy as np
import pytest
import yaml
from tests.docs.conftest import save_constant_model, save_constant_outputs
from tests.docs.pages import ROOT, blocks, options, table

from sightflow import (
    Classify,
    Detect,
    Directory,
    JsonLines,
    Pipeline,
    Preprocess,
    RunSettings,
    find_model,
    run,
)
from sightflow.kinds import known_kinds, resolve_kind
from sightflow.models import Card, ModelInput, Threshold
from sightflow.tasks.detect_faces import DetectFaces
from sightflow.tasks.embed_faces import EmbedFaces

PAGE = "docs/reference/cards.md"


def shown(heading):
    return [row[:2] for row in table(PAGE, heading)]


@pytest.fixture
def save_card(place):
    """Return a function that saves a card of the page beside its model."""

    def save(name):
        cards = [block.text for block in blocks("yaml", ROOT / PAGE)]
        card = next(text for text in cards if yaml.safe_load(text)["name"] == name)
        (place / f"{name}.yaml").write_text(card)

    return save


@pytest.fixture
def result_of(place, save_modules, save_card):
    """Return a function that runs a card of the page with a model that always answers the same."""

    def result(name, answer, *, size, output="output"):
        save_modules(ROOT / PAGE)
        save_card(name)
        save_constant_model(place / f"{name}.onnx", answer, size=size, output=output)
        model = find_model(f"{name}.onnx")
        step = {"detect": Detect, "classify": Classify}[model.card.task]
        options = {"scenes": True} if model.card.scenes else {}
        pipeline = (
            Pipeline(Directory("photos/0000.jpg"))  # 320 x 240
            .apply("step", step(model, **options))
            .write("results", JsonLines("results.jsonl"))
        )
        run(pipeline, RunSettings(runner="inline"))
        return yaml.safe_load((place / "results.jsonl").read_text())

    return result


@pytest.mark.parametrize(
    ("heading", "kind"),
    [("`input`", ModelInput), ("`input.preprocess`", Preprocess), ("`thresholds`", Threshold)],
)
def test_the_tables_of_the_parts_are_the_fields_of_the_code(heading, kind):
    assert shown(heading) == options(kind)


def test_the_table_of_a_card_has_its_fields_and_defaults():
    required_first = sorted(options(Card), key=lambda row: row[1] != "required")
    assert [["measured", "[]"] if row[0] == "measured" else row for row in required_first] == shown(
        "Fields"
    )


@pytest.mark.parametrize("kind", known_kinds("heads"))
def test_the_table_of_a_head_has_its_options_and_defaults(kind):
    assert shown(kind) == options(resolve_kind("heads", kind))


def test_every_head_is_in_the_overview():
    assert sorted(row[0] for row in table(PAGE, "Heads")) == list(known_kinds("heads"))
    assert len(known_kinds("heads")) >= 5


def test_the_card_of_a_yolo_export_brings_boxes_into_the_picture(result_of):
    # 320 x 240 in 640 x 640: twice as large, 80 rows of bars above; the box is 160..480, 240..400
    answer = [[320, 0], [320, 0], [320, 0], [160, 0], [0.1, 0], [0.75, 0.1]]
    line = result_of("gates", answer, size=(640, 640), output="output0")
    (found,) = line["detections"]
    assert (found["label"], found["score"], line["model_version"]) == ("fence", 0.75, "2")
    assert found["box_xyxy"] == pytest.approx([80, 80, 240, 160])


def test_the_card_of_a_k6_export_brings_boxes_into_the_picture(result_of):
    # 320 x 240 stretched to 320 x 320: y is 4/3 as large
    line = result_of("parcels", [[80, 80, 240, 160, 0.5, 2], [0] * 6], size=(320, 320))
    (found,) = line["detections"]
    assert (found["label"], found["score"]) == ("forklift", 0.5)
    assert found["box_xyxy"] == pytest.approx([80, 60, 240, 120])


def test_the_card_of_a_classifier_turns_logits_into_scores_and_scenes(result_of):
    line = result_of("leaves", [0, float(np.log(3)), 0, 0], size=(224, 224))  # 1/6 1/2 1/6 1/6
    assert line["classification"][0]["label"] == "beech"
    assert line["classification"][0]["score"] == pytest.approx(0.5)
    forest, park = 0.5 / 6 + 0.9 / 2, (0.4 + 0.5 + 0.8) / 6
    assert [scene["label"] for scene in line["scene"]] == ["forest", "park"]
    assert line["scene"][0]["score"] == pytest.approx(forest / (forest + park))


def test_the_card_with_a_head_of_ones_own_uses_it(result_of):
    line = result_of("weather", [0, float(np.log(3)), -50], size=(224, 224), output="scores")
    scores = {found["label"]: found["score"] for found in line["classification"]}
    assert scores == pytest.approx({"rain": 0.5, "snow": 0.75, "sun": 0})


def one_face(parts, *, anchors):
    """Return outputs of a detector for 640 x 640: one face, in column 10 of row 5 of stride 8."""
    answers = {}
    for name, values in parts.items():
        for stride in (8, 16, 32):
            rows = np.zeros((anchors * (640 // stride) ** 2, len(values)), np.float32)
            if stride == 8:
                rows[anchors * (5 * 80 + 10)] = values
            answers[f"{name}_{stride}"] = rows.tolist()
    return answers


# the cell begins at (80, 40); the box is 64..128, 16..112, the left eye is at (88, 48)
POINTS = [1, 1, 4, 1, 3, 3, 1, 5, 4, 5]
YUNET = {"cls": [1], "obj": [0.81], "bbox": [2, 3, np.log(8), np.log(12)], "kps": POINTS}
SCRFD = {"score": [0.9], "bbox": [2, 3, 6, 9], "kps": POINTS}


@pytest.mark.parametrize(
    ("name", "parts", "anchors", "input_name"),
    [("yunet", YUNET, 1, "input"), ("scrfd", SCRFD, 2, "images")],
)
def test_the_cards_about_faces_work_together(name, parts, anchors, input_name, place, save_card):
    # 320 x 240 in 640 x 640, top left: twice as large
    for card in (name, "faces512"):
        save_card(card)
    outputs = one_face(parts, anchors=anchors)
    save_constant_outputs(place / f"{name}.onnx", outputs, size=(640, 640), name=input_name)
    save_constant_model(place / "faces512.onnx", [3, 4], size=(112, 112))
    described = find_model("faces512.onnx")
    pipeline = (
        Pipeline(Directory("photos/0000.jpg"))
        .apply("detect", DetectFaces(find_model(f"{name}.onnx")))
        .apply("embed", EmbedFaces(described))
        .write("results", JsonLines("results.jsonl"))
    )
    run(pipeline, RunSettings(runner="inline"))
    (face,) = yaml.safe_load((place / "results.jsonl").read_text())["faces"]
    assert face["score"] == pytest.approx(0.9)
    assert face["box_xyxy"] == pytest.approx([32, 8, 64, 56])
    assert face["landmarks_xy"][0] == pytest.approx([44, 24])
    assert face["embedding"] == pytest.approx([0.6, 0.8])
    assert described.card.threshold_for(0.001).similarity == 0.38
