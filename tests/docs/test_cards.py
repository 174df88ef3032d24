"""docs/reference/cards.md has every field and head, and its cards do what they say."""

import numpy as np
import pytest
import yaml
from tests.docs.conftest import save_constant_model
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
from sightflow.models import Card, ModelInput

PAGE = "docs/reference/cards.md"


def shown(heading):
    return [row[:2] for row in table(PAGE, heading)]


@pytest.fixture
def result_of(place, save_modules):
    """Return a function that runs a card of the page with a model that always answers the same."""

    def result(name, answer, *, size, output="output"):
        save_modules(ROOT / PAGE)
        cards = [block.text for block in blocks("yaml", ROOT / PAGE)]
        card = next(text for text in cards if yaml.safe_load(text)["name"] == name)
        (place / f"{name}.yaml").write_text(card)
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
    [("`input`", ModelInput), ("`input.preprocess`", Preprocess)],
)
def test_the_tables_of_the_input_are_the_fields_of_the_code(heading, kind):
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
