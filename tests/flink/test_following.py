"""A running job takes the version of its model that serves: nothing is lost, all say which."""

import json
from pathlib import Path

import pytest
from tests.classifiers import save_colour_classifier, save_colours
from tests.steps import Slow

from sightflow import Classify, Directory, JsonLines, Pipeline, RunSettings, run
from sightflow.models import DataRange, Facts, Registry, find_model

pytestmark = pytest.mark.flink


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Return a registry with two versions of a model; the first serves."""
    model = find_model(save_colour_classifier(tmp_path / "colours.onnx"))
    found = Registry(str(tmp_path / "models"))
    for step in (1, 2):
        facts = Facts("run", step, step, DataRange(0, 0, step))
        onnx = Path(model.path).read_bytes()
        found.publish("colours", onnx=onnx, weights=b"w", card=model.card, facts=facts)
    found.promote("colours", 1, reason="first")
    return found


def test_a_version_takes_over_while_the_job_runs(registry: Registry, tmp_path: Path) -> None:
    n_images = 400
    source = Directory(tuple(save_colours(tmp_path / f"photos-{i}", 55) for i in range(8)))
    pipeline = (
        Pipeline(source)
        .apply("slow", Slow(0.02))
        .apply("classify", Classify(model=find_model(f"{registry.url}/colours"), follow=True))
        .write("results", JsonLines(str(tmp_path / "out.jsonl")))
    )

    def promote(ledger, n) -> None:
        if ledger.read > n_images // 4:
            registry.promote("colours", 2, reason="better")

    summary = run(pipeline, RunSettings(workers=2), on_progress=promote)

    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    versions = [row["model_version"] for row in rows]
    assert summary.ledger.read == summary.ledger.recognised == len(rows) == 440
    assert set(versions) == {"1", "2"}
    assert versions[0] == "1"
    assert versions[-1] == "2"
    assert set(versions[-60:]) == {"2"}, "every worker takes it, within a second or so"
