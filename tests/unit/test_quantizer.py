"""`quantize` writes an int8 model and a card that claims only what was measured of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.classifiers import save_colour_classifier, save_colours

from sightflow.errors import (
    ModelError,
    OutputError,
    OutputExistsError,
    SourceError,
)
from sightflow.models import find_model, zoo
from sightflow.quantizer import COLUMNS, Comparison, Report, quantize
from sightflow.tasks.classify import Classify
from sightflow.testing import a_context, a_record


@pytest.fixture
def colours(tmp_path):
    return find_model(save_colour_classifier(tmp_path / "colours.onnx"))


def test_the_int8_model_is_found_with_its_card_and_classifies(colours, tmp_path):
    data, out = save_colours(tmp_path / "photos", 12), tmp_path / "new" / "int8.onnx"

    report = quantize(colours, data, out)

    found = find_model(str(out))
    assert report.model.card == found.card
    Classify(model=found).check()
    green = a_record(np.full((8, 8, 3), (40, 200, 40), np.uint8))
    (record,) = Classify(model=found).open(a_context())([green])
    assert record.classification.labels[0] == "green"
    assert record.models[0].version == found.sha256()[:12]


def test_the_card_keeps_what_holds_and_says_how_the_file_was_made(colours, tmp_path):
    quantize(colours, save_colours(tmp_path / "photos", 12), tmp_path / "int8.onnx")

    card = find_model(str(tmp_path / "int8.onnx")).card
    old = colours.card
    assert card.name == "colours-int8"
    assert not card.fp16, "that was said of the float weights"
    assert card.sha256 != colours.sha256()
    changed = {"name", "version", "sha256", "fp16", "measured", "notes"}
    assert replace(card, **{name: getattr(old, name) for name in changed}) == old
    assert card.notes.startswith("Knows three colours. Made from colours 3 (sha256 ")
    assert "calibrated on 6 pictures" in card.notes
    assert "accuracy against true labels was not measured" in card.notes


def test_the_card_claims_no_accuracy_but_agreement_and_speed(colours, tmp_path):
    data = save_colours(tmp_path / "photos", 12)

    report = quantize(colours, data, tmp_path / "int8.onnx")

    agreement, speed = report.model.card.measured
    assert agreement == {
        "data": "6 pictures not used for calibration",
        "metric": "top-1 agreement with colours %",
        "value": 100.0,
    }
    assert speed["metric"] == "times as fast as colours"
    assert speed["value"] == pytest.approx(report.comparison.speedup, abs=0.005)


@pytest.mark.parametrize(
    ("n_pictures", "n_images", "n_calibration", "n_compared"),
    [(12, 2, 2, 2), (12, 200, 6, 6), (5, 200, 3, 2), (2, 1, 1, 1)],
)
def test_calibration_and_comparison_get_as_many_pictures_or_half_each(
    colours, tmp_path, n_pictures, n_images, n_calibration, n_compared
):
    data = save_colours(tmp_path / "photos", n_pictures)

    report = quantize(colours, data, tmp_path / "int8.onnx", n_images=n_images)

    assert (report.n_calibration, report.comparison.n_images) == (n_calibration, n_compared)


def test_no_picture_is_in_both_parts(colours, tmp_path, monkeypatch):
    """Of six pictures 0, 2 and 4 calibrate; 1, 3 and 5 are compared on."""
    data, read = save_colours(tmp_path / "photos", 6), []
    original = Path.read_bytes
    monkeypatch.setattr(
        "sightflow.storage.files.Reader.read",
        lambda self, uri: read.append(Path(uri).stem) or original(Path(uri)),
    )

    quantize(colours, data, tmp_path / "int8.onnx")

    assert read == ["000", "002", "004", "001", "003", "005"]


def test_files_that_are_no_pictures_are_counted(colours, tmp_path):
    data = save_colours(tmp_path / "photos", 6)
    Path(data, "labels.csv").write_text("no picture")

    report = quantize(colours, data, tmp_path / "int8.onnx")

    assert (report.n_calibration, report.comparison.n_images, report.n_rejected) == (3, 3, 1)


def test_a_differing_answer_lowers_the_agreement(colours, tmp_path, monkeypatch):
    """An int8 model that always says red agrees on two of six: 33.3 %."""
    import sightflow.quantizer

    data, load = save_colours(tmp_path / "photos", 12), type(colours).load

    def load_odd(model, inference=None):
        if model.path == colours.path:
            return load(model, inference)
        return lambda batch: {"prob": np.array([[1, 0, 0]], np.float32)}

    monkeypatch.setattr(sightflow.quantizer.ModelFile, "load", load_odd)
    report = quantize(colours, data, tmp_path / "int8.onnx")

    assert report.comparison.agreement_percent == pytest.approx(33.3, abs=0.05)


def test_progress_is_told_for_both_parts(colours, tmp_path):
    told = []

    quantize(
        colours,
        save_colours(tmp_path / "photos", 4),
        tmp_path / "int8.onnx",
        on_progress=lambda *what: told.append(what),
    )

    assert [t for t in told if t[0] == "calibrating"] == [("calibrating", i, 2) for i in range(3)]
    assert told[-1] == ("comparing", 2, 2)


def test_a_report_has_a_row_a_model_and_says_when_int8_does_not_pay(colours):
    comparison = Comparison(n_images=8, agreement_percent=87.5, float_ms=2.0, int8_ms=4.0)
    report = Report(colours, colours, 9, 0, comparison)

    rows = report.rows()

    assert [len(row) for row in rows] == [len(COLUMNS)] * 2
    assert [row[2:] for row in rows] == [("2.00", ""), ("4.00", "87.5")]
    assert "0.50 times as fast here: int8 does not pay on this machine" in report.summary()
    assert "calibrated on 9 pictures, compared on 8 others" in report.summary()


def test_a_detector_is_refused(tmp_path):
    with pytest.raises(
        ModelError, match=r"'nanodet': quantisation takes .*`task: classify`.* has 'detect'"
    ):
        quantize(zoo("nanodet"), str(tmp_path), tmp_path / "int8.onnx")


def test_a_model_of_another_back_end_is_refused(colours, tmp_path):
    other = replace(colours, card=replace(colours.card, backend="my_package:Backend"))

    with pytest.raises(ModelError, match=r"`backend: onnx`; .* 'my_package:Backend'"):
        quantize(other, str(tmp_path), tmp_path / "int8.onnx")


def test_the_file_must_end_in_onnx(colours, tmp_path):
    with pytest.raises(OutputError, match=r"int8\.bin: the ending must be \.onnx; got '\.bin'"):
        quantize(colours, str(tmp_path), tmp_path / "int8.bin")


def test_the_float_model_is_never_replaced(colours, tmp_path):
    with pytest.raises(OutputError, match=r"colours\.onnx: must not be the float model itself"):
        quantize(colours, str(tmp_path), Path(colours.path), overwrite=True)


@pytest.mark.parametrize("existing", ["int8.onnx", "int8.yaml"])
def test_output_of_an_earlier_call_is_replaced_only_when_told_to(colours, tmp_path, existing):
    data = save_colours(tmp_path / "photos", 4)
    (tmp_path / existing).write_text("old")

    with pytest.raises(OutputExistsError, match=rf"{existing}: exists already"):
        quantize(colours, data, tmp_path / "int8.onnx")
    assert (tmp_path / existing).read_text() == "old"

    quantize(colours, data, tmp_path / "int8.onnx", overwrite=True)
    find_model(str(tmp_path / "int8.onnx")).check()


@pytest.mark.parametrize("n_pictures", [0, 1])
def test_a_folder_with_too_few_files_is_refused(colours, tmp_path, n_pictures):
    data = save_colours(tmp_path / "photos", n_pictures)

    with pytest.raises(SourceError, match=rf"photos: must have two pictures .* has {n_pictures};"):
        quantize(colours, data, tmp_path / "int8.onnx")


@pytest.mark.parametrize("bad", ["000.png", "001.png"])
def test_a_folder_with_too_few_readable_pictures_is_refused(colours, tmp_path, bad):
    data = save_colours(tmp_path / "photos", 2)
    Path(data, bad).write_text("no picture")

    with pytest.raises(SourceError, match=r"photos: .*too few of its files are pictures"):
        quantize(colours, data, tmp_path / "int8.onnx")
    assert not (tmp_path / "int8.onnx").exists()
