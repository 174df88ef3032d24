"""docs/reference/pipelines.md has every kind with every option, and the real errors."""

import pytest
from tests.docs.pages import options, table

from sightflow import RunSettings
from sightflow.configuration import read_pipeline
from sightflow.errors import PipelineError
from sightflow.kinds import known_kinds, resolve_kind
from sightflow.learn.compose import Compose
from sightflow.learn.optimiser import Optimiser
from sightflow.learn.publish import Publish
from sightflow.learn.samples import Replay
from sightflow.learn.torch_networks import Pretrained
from sightflow.learn.watch import Drift
from sightflow.ops.augment import Augment
from sightflow.ops.motion import Noise

PAGE = "docs/reference/pipelines.md"
GROUPS = (
    "sources",
    "labels",
    "controls",
    "tables",
    "operators",
    "networks",
    "detectors",
    "sinks",
)
KINDS = [(group, kind) for group in GROUPS for kind in known_kinds(group)]
SOURCE = "source: {kind: Directory, paths: photos}\n"


def shown(heading):
    return [row[:2] for row in table(PAGE, heading)]


@pytest.mark.parametrize(("group", "kind"), KINDS)
def test_the_table_of_a_kind_has_its_options_and_defaults(group, kind):
    assert shown(kind) == options(resolve_kind(group, kind))


def test_the_kinds_were_found():
    assert len(KINDS) >= 10


def test_the_table_of_noise_is_that_of_the_motion():
    assert [row[:2] for row in table(PAGE, "Track", number=1)] == options(Noise)


@pytest.mark.parametrize(
    ("number", "part"), [(1, Optimiser), (2, Replay), (3, Augment), (4, Compose), (5, Publish)]
)
def test_the_tables_of_train_are_those_of_its_parts(number, part):
    assert [row[:2] for row in table(PAGE, "Train", number=number)] == options(part)


def test_the_table_of_drift_is_that_of_its_options():
    assert [row[:2] for row in table(PAGE, "Evaluate", number=1)] == options(Drift)


def test_the_table_of_pretrained_is_that_of_its_fields():
    shown = [row[:2] for row in table(PAGE, "TorchNetwork", number=1)]
    assert shown == options(Pretrained)


def test_the_table_of_run_is_the_run_settings():
    assert shown("run") == options(RunSettings)


def test_the_sections_are_those_that_a_file_may_have(tmp_path):
    sections = ", ".join(row[0] for row in table(PAGE, "Pipelines in YAML"))
    (tmp_path / "job.yaml").write_text("{}")
    with pytest.raises(PipelineError, match=f"may have {sections};"):
        read_pipeline(tmp_path / "job.yaml")


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (0, "steps: []"),
        (1, "source: {kind: Folder, paths: photos}"),
        (2, "source: {kind: Directory, path: photos}"),
        (3, SOURCE + "steps: [{name: a, kind: Detect, min_score: high}]"),
        (4, SOURCE + "steps: [{name: a, kind: Detect, model: nanodett}]"),
        (5, SOURCE + "steps: [{kind: Detect}]"),
        (6, SOURCE + "steps: [{name: a, kind: Detect}, {name: a, kind: Detect}]"),
        (7, SOURCE + "run: {batch_size: 0}"),
    ],
)
def test_a_mistake_gives_the_message_of_the_page(row, text, place):
    rows = table(PAGE, "Errors")
    assert len(rows) == 8
    (place / "job.yaml").write_text(text)
    with pytest.raises(PipelineError) as error:
        read_pipeline(place / "job.yaml")
    assert str(error.value).endswith(rows[row][1])
