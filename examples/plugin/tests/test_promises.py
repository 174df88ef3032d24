"""What this package adds keeps the promises of Sightflow's protocols, and does what it says."""

from pathlib import Path

import numpy as np
import pytest
from sightflow_plugin_example.linear import Npz, save_linear
from sightflow_plugin_example.quality import RejectPoor
from sightflow_plugin_example.spreadsheet import BestClassCsv
from sightflow_plugin_example.table import PictureTable, add_picture

from sightflow import Directory, Pipeline, RunSettings, run
from sightflow.errors import ModelError, OutputExistsError, PipelineError, SourceError
from sightflow.kinds import resolve_kind
from sightflow.models import Card, ModelInput
from sightflow.ops.preprocess import Preprocess
from sightflow.records import EncodedImage, ImageRecord, Rejected
from sightflow.testing import (
    a_claim,
    a_context,
    a_record,
    check_backend,
    check_operator,
    check_result_sink,
    check_source,
    draw_scene,
    encode_image,
)

SCENE = draw_scene()
CARD = Card(
    "colours",
    "classify",
    ModelInput(Preprocess(stretch=(4, 4), std=(255, 255, 255))),
    {"kind": "Logits", "output": "logits"},
    ("red", "green", "blue"),
    backend="npz",
)


def blurred(pixels: np.ndarray, n: int = 8) -> np.ndarray:
    """Return a picture in which each pixel is the mean of n x n."""
    shifted = [np.roll(pixels, (y, x), (0, 1)) for y in range(n) for x in range(n)]
    return np.mean(shifted, axis=0).astype(np.uint8)


def a_model(path: Path) -> str:
    """Write a classifier that scores each class by the mean of its channel."""
    save_linear(path, np.repeat(np.eye(3), 16, axis=0), np.zeros(3))
    return str(path)


@pytest.mark.parametrize(
    ("group", "name", "kind"),
    [
        ("operators", "RejectPoor", RejectPoor),
        ("backends", "npz", Npz),
        ("sources", "PictureTable", PictureTable),
        ("sinks", "BestClassCsv", BestClassCsv),
    ],
)
def test_each_kind_is_found_by_its_name(group: str, name: str, kind: type) -> None:
    assert resolve_kind(group, name) is kind


def test_the_operator_keeps_its_promises() -> None:
    outcomes = check_operator(RejectPoor())
    assert all(isinstance(outcome, ImageRecord) for outcome in outcomes)


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (SCENE, None),
        (blurred(SCENE), "blurred"),
        (SCENE // 10, "dark"),
        (255 - SCENE // 20, "bright"),
        (np.full((2, 900, 3), 99, np.uint8), "blurred"),
        (np.full((1, 1, 3), 99, np.uint8), "blurred"),
    ],
)
def test_poor_pictures_are_rejected_and_good_ones_are_not(pixels, reason) -> None:
    (outcome,) = RejectPoor().open(a_context("quality"))([a_record(pixels)])
    assert getattr(outcome, "reason", None) == reason


def test_a_message_says_what_was_measured_and_what_must_be() -> None:
    (outcome,) = RejectPoor().open(a_context())([a_record(np.full((9, 9, 3), 7, np.uint8))])
    assert isinstance(outcome, Rejected)
    assert outcome.message == "brightness 7.0 < 20"


def test_thresholds_that_no_picture_passes_are_refused() -> None:
    with pytest.raises(PipelineError, match=r"`min_brightness` is below .*; got 250 and 240"):
        RejectPoor(min_brightness=250).check()


def test_the_back_end_keeps_its_promises(tmp_path: Path) -> None:
    assert check_backend(Npz(), a_model(tmp_path / "m.npz"), CARD)["logits"].shape == (5, 3)


def test_weights_in_a_pickle_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", weight=np.array([print], object), bias=np.zeros(3))
    with pytest.raises(ModelError, match="is no linear model"):
        Npz().load(str(tmp_path / "m.npz"), CARD, None)


def a_table(path: Path) -> PictureTable:
    for i in range(3):
        data = encode_image(draw_scene(32, 24)) if i != 1 else b""
        add_picture(str(path), f"day 1/{i}.jpg", 1_000 * i, data)
    return PictureTable(str(path))


def test_the_source_keeps_its_promises(tmp_path: Path) -> None:
    assert len(check_source(a_table(tmp_path / "pictures.db"))) == 3


def test_a_picture_that_is_gone_is_rejected_and_later_ones_are_for_the_next_job(tmp_path) -> None:
    source = a_table(tmp_path / "pictures.db")
    claims = list(source.claims())
    add_picture(source.path, "late.jpg", 9_000, b"late")
    context = a_context("read")
    with context.resources:
        read = source.open(context)
        assert isinstance(next(iter(read(claims[0]))), EncodedImage)
        (gone,) = read(a_claim(uri=f"{source.path}#99"))
    assert isinstance(gone, Rejected)
    assert gone.reason == "unreadable"
    assert len(list(source.claims())) == len(claims) + 1


def test_a_table_that_is_not_there_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere: no such file"):
        list(PictureTable(str(tmp_path / "nowhere")).claims())
    (tmp_path / "empty.db").touch()
    with pytest.raises(SourceError, match="no such table"):
        list(PictureTable(str(tmp_path / "empty.db")).claims())


def test_the_sink_keeps_its_promises() -> None:
    written = check_result_sink(lambda folder: BestClassCsv(str(folder / "best.csv")))
    heading, *lines = written["best.csv"].decode().splitlines()
    assert heading == "uri,label,score"
    assert [line.split(",")[1:] for line in lines] == [["cat", "0.5"]] * 3


def test_an_image_without_a_class_has_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(encode_image(SCENE))
    sink = BestClassCsv(str(tmp_path / "best.csv"))
    pipeline = Pipeline(Directory(str(tmp_path / "photos"))).write("csv", sink)
    run(pipeline, RunSettings(runner="inline"))
    assert (tmp_path / "best.csv").read_text().splitlines()[1].endswith("a.jpg,,")
    with pytest.raises(OutputExistsError, match="exists already"):
        run(pipeline, RunSettings(runner="inline"))
