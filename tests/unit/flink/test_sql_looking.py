"""What functions of SQL answer: plain values of what a step found, NULL of what is broken."""

import numpy as np
import pytest

from sightflow.errors import PipelineError
from sightflow.flink.sql.looking import (
    best_class,
    objects,
    open_look,
    place_of,
    problem,
    read_places,
    similarity,
    size,
)
from sightflow.protocols import Context, Inference
from sightflow.records import Classification, Detections
from sightflow.settings import RunSettings
from sightflow.storage.files import Reader
from sightflow.testing import a_record, draw_scene, encode_image


@pytest.fixture
def look():
    return open_look((), RunSettings(), Inference(), Context("sql"))


def test_a_picture_has_a_size_a_broken_one_a_problem_and_null_neither(look):
    good = encode_image(draw_scene(40, 30))

    outcomes = look([good, None, b"no picture", b""])

    assert [size(outcome) for outcome in outcomes] == [
        {"width": 40, "height": 30},
        None,
        None,
        None,
    ]
    reasons = [found and found["reason"] for found in map(problem, outcomes)]
    assert reasons == [None, None, "not_an_image", "empty"]


def test_an_empty_batch_has_no_answers(look):
    assert look([]) == []


def test_a_classified_picture_answers_with_its_best_class_and_all_that_were_kept():
    found = Classification(("cat", "dog"), np.array([3, 1], np.int32), np.float32([0.5, 0.25]))

    answer = best_class(a_record(classification=found))

    assert answer == {
        "label": "cat",
        "class_id": 3,
        "score": 0.5,
        "top_labels": ["cat", "dog"],
        "top_scores": [0.5, 0.25],
    }


def test_where_no_class_reaches_the_score_the_answer_has_none():
    nothing = Classification((), np.zeros(0, np.int32), np.zeros(0, np.float32))

    answer = best_class(a_record(classification=nothing))

    assert (answer["label"], answer["score"], answer["top_labels"]) == (None, None, [])


def test_objects_have_numbers_from_one_and_four_corners():
    boxes = np.float32([[1, 2, 3, 4], [5, 6, 7, 8]])
    scores, classes = np.float32([0.75, 0.5]), np.array([0, 2], np.int32)

    answer = objects(a_record(detections=Detections(boxes, scores, classes, ("cat", "dog"))))

    assert [number for number, _ in answer] == [1, 2]
    assert answer[1][1] == {
        "label": "dog",
        "class_id": 2,
        "score": 0.5,
        "x1": 5.0,
        "y1": 6.0,
        "x2": 7.0,
        "y2": 8.0,
    }


def test_similar_faces_are_those_of_one_direction():
    assert similarity([3.0, 0.0], [1.0, 0.0]) == 1.0
    assert similarity([1.0, 0.0], [0.0, 2.0]) == 0.0
    assert similarity([1.0, 0.0], [-1.0, 0.0]) == -1.0
    assert similarity(None, [1.0]) is None
    assert similarity([0.0, 0.0], [1.0, 0.0]) is None


def test_embeddings_of_two_models_cannot_be_compared():
    with pytest.raises(PipelineError, match="must be of one model; got 2 and 3 numbers"):
        similarity([1.0, 0.0], [1.0, 0.0, 0.0])


def test_files_are_read_by_their_places_also_those_whose_name_is_no_text(tmp_path):
    odd = str(tmp_path / "\udcff.jpg")
    for path, data in ((odd, b"odd"), (str(tmp_path / "a.jpg"), b"plain")):
        with open(path, "wb") as file:
            file.write(data)

    places = [place_of(odd), place_of(str(tmp_path / "a.jpg")), None, str(tmp_path / "gone")]
    odd_bytes, plain, nothing, gone = read_places(Reader(), places)

    assert places[0].isascii()
    assert (odd_bytes, plain, nothing) == (b"odd", b"plain", None)
    assert isinstance(gone, FileNotFoundError)
