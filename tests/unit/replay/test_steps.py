"""Results tell which steps are to be replayed; what they do not tell must be said."""

from typing import Any

import pytest
from tests.classifiers import save_colour_classifier

from sightflow.errors import PipelineError
from sightflow.replay.steps import steps_for, thresholds_of
from sightflow.replay.survey import Survey
from sightflow.tasks.classify import Classify
from sightflow.tasks.detect import Detect
from sightflow.tasks.detect_faces import DetectFaces
from sightflow.tasks.track import Track

Row = dict[str, Any]

NANODET = {"step": "detect", "model": "nanodet", "model_version": "1"}
BOX = {"label": "car", "class_id": 2, "score": 0.5, "box_xyxy": [0, 0, 1, 1]}


def found(*rows: Row) -> Survey:
    survey = Survey()
    for row in rows:
        survey.add(row)
    return survey


def steps(survey: Survey, **options: Any) -> dict[str, Any]:
    asked = {"model": None, "min_score": None, "top_k": None, **options}
    return dict(steps_for(survey, asked))


def test_classes_are_replayed_by_a_classifier_with_as_many_of_them() -> None:
    use = {"model": "efficientnet_lite0", "model_version": "1", "step": "classify"}
    classes = [{"label": label, "class_id": 0, "score": 0.5} for label in "abc"]
    (step,) = steps(found({**use, "classification": classes}), min_score=0.3).values()
    assert isinstance(step, Classify)
    assert (step.top_k, step.min_score) == (3, 0.3)
    assert step.model.card.name == "efficientnet_lite0"
    assert steps(found({**use, "classification": []}), top_k=2)["classify"].top_k == 2


def test_objects_are_replayed_by_a_detector_with_its_own_threshold() -> None:
    step = steps(found({**NANODET, "detections": [BOX]}))["detect"]
    assert step == Detect()
    assert steps(found({**NANODET, "detections": []}), min_score=0.3)["detect"].min_score == 0.3


def test_another_model_takes_the_place_of_that_of_the_results(tmp_path: Any) -> None:
    path = save_colour_classifier(tmp_path / "colours.onnx")
    step = steps(found({"classification": []}), model=path)["classify"]
    assert step.model.card.name == "colours"


def test_tracks_are_replayed_as_the_command_track_does() -> None:
    survey = found({**NANODET, "detections": [], "tracks": []})
    detect, track = steps(survey).values()
    assert track == Track()
    assert detect.min_score == Track().low_score
    detect, track = steps(survey, min_score=0.1).values()
    assert (track.high_score, track.low_score, detect.min_score) == (0.1, 0.1, 0.1)


def test_faces_without_names_are_replayed_by_a_detector_of_faces() -> None:
    use = {"step": "faces", "model": "blazeface_back", "model_version": "1"}
    faces = {**use, "faces": [{"score": 0.9, "box_xyxy": [0, 0, 1, 1]}]}
    assert isinstance(steps(found(faces), model="blazeface_back")["faces"], DetectFaces)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"faces": [{"score": 0.9, "similarity": 0.4}]}, "they name people"),
        ({"detections": [{**BOX, "state": {"label": "red"}}]}, "states of traffic lights"),
        ({"detections": [{**BOX, "sign": {"label": "stop"}}]}, "road signs"),
        ({"measures": []}, "no classes, objects or faces"),
        ({"classification": [], "detections": []}, "classification and detections"),
        ({"classification": [], "faces": []}, "classification and faces"),
    ],
)
def test_results_of_other_steps_need_the_pipeline(row: Row, why: str) -> None:
    with pytest.raises(PipelineError, match=rf"{why}.*give --pipeline FILE"):
        steps(found(row))


@pytest.mark.parametrize(
    "use",
    [
        {**NANODET, "model_version": "0"},
        {**NANODET, "model": "mine"},
        {},
    ],
)
def test_a_model_that_does_not_ship_must_be_named(use: Row) -> None:
    with pytest.raises(PipelineError, match="say with --model which one"):
        steps(found({**use, "detections": []}))


def test_results_of_several_models_need_the_pipeline() -> None:
    uses = [NANODET, {**NANODET, "step": "lights", "model": "traffic_lights"}]
    with pytest.raises(PipelineError, match="several models: nanodet, traffic_lights"):
        steps(found({**NANODET, "steps": uses, "detections": []}))


def test_the_number_of_classes_is_for_classes() -> None:
    with pytest.raises(PipelineError, match="--top-k is for classes"):
        steps(found({**NANODET, "detections": []}), top_k=3)


def test_the_thresholds_of_steps_are_told_by_name() -> None:
    steps = [("detect", Detect(min_score=0.25)), ("track", Track(high_score=0.5, low_score=0.1))]
    assert thresholds_of(steps) == "detect min_score 0.25; track high_score 0.5, low_score 0.1"
