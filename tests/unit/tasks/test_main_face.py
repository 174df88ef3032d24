"""The one face that a picture is about, where each picture is to show one person."""

from dataclasses import replace

import numpy as np
import pytest

from sightflow.errors import PipelineError
from sightflow.records import Faces, ImageRecord, Measures, Rejected
from sightflow.tasks.main_face import MainFace
from sightflow.testing import a_context, a_record


def an_image(*found: tuple[float, float, float]) -> ImageRecord:
    """Return an image of 400 x 200 with square faces: x and y of the middle, side; best first."""
    table = np.array(found, np.float32).reshape(-1, 3)
    middles, half = table[:, :2], table[:, 2:] / 2
    faces = Faces(
        np.concatenate([middles - half, middles + half], axis=1),
        np.linspace(0.9, 0.7, len(table), dtype=np.float32),
        np.stack([middles - half / 2, middles + half / 2], axis=1),
    )
    return a_record(np.zeros((20, 40, 3), np.uint8), width=400, height=200, faces=faces)


def chosen(record: ImageRecord, step: MainFace | None = None) -> ImageRecord:
    (outcome,) = (step or MainFace()).open(a_context())([record])
    assert isinstance(outcome, ImageRecord)
    return outcome


def kept(record: ImageRecord, step: MainFace | None = None) -> Faces:
    faces = chosen(record, step).faces
    assert faces is not None
    return faces


def middle_of_main(record: ImageRecord) -> tuple[float, float]:
    """Return the middle of the one face that is kept."""
    ((x1, y1, x2, y2),) = kept(record).boxes_xyxy.tolist()
    return (x1 + x2) / 2, (y1 + y2) / 2


def rejected(record: ImageRecord, step: MainFace) -> Rejected:
    (outcome,) = step.open(a_context("main"))([record])
    assert isinstance(outcome, Rejected)
    return outcome


def test_the_largest_face_is_kept_with_all_that_is_known_of_it():
    record = an_image((180, 100, 30), (220, 100, 40), (200, 60, 20))

    faces = kept(record)

    assert faces.boxes_xyxy.tolist() == [[200, 80, 240, 120]]
    assert faces.scores == pytest.approx([0.8])
    assert faces.landmarks_xy.tolist() == [[[210, 90], [230, 110]]]


def test_of_faces_of_one_size_the_one_nearest_to_the_middle_is_kept():
    assert middle_of_main(an_image((100, 100, 40), (220, 100, 40))) == (220, 100)
    assert middle_of_main(an_image((200, 40, 40), (200, 110, 40))) == (200, 110)


def test_a_face_at_the_edge_counts_as_half_as_large():
    """At x 380 of 400, 0.9 of the way from the middle: 60 counts as 60 x 0.55 = 33."""
    assert middle_of_main(an_image((380, 100, 60), (200, 100, 34))) == (200, 100)
    assert middle_of_main(an_image((380, 100, 60), (200, 100, 32))) == (380, 100)


def test_a_picture_without_a_face_is_rejected():
    outcome = rejected(an_image(), MainFace())

    assert (outcome.step, outcome.reason) == ("main", "no_face")
    assert outcome.message == "no face was found"


def test_how_many_faces_there_were_is_measured():
    measures = chosen(an_image((200, 100, 40), (100, 100, 10), (300, 100, 5))).measures

    assert measures is not None
    assert (measures.names, measures.values.tolist()) == (("n_faces",), [3])


def test_what_others_measured_stays():
    before = Measures(("sharpness",), np.array([0.5], np.float32))

    measures = chosen(replace(an_image((200, 100, 40)), measures=before)).measures

    assert measures is not None
    assert (measures.names, measures.values.tolist()) == (("sharpness", "n_faces"), [0.5, 1])


def test_a_second_face_that_counts_almost_as_much_makes_it_unclear_whose_picture_it_is():
    """Half-way to the edge a face of 38 counts as 38 x 0.75 = 28.5, of 40 x 0.7 = 28 needed."""
    step = MainFace(several="reject")

    outcome = rejected(an_image((200, 100, 40), (100, 100, 38)), step)

    assert (outcome.step, outcome.reason) == ("main", "several_faces")
    assert outcome.message == "2 faces may each be the one that is meant"
    assert len(kept(an_image((200, 100, 40), (100, 100, 37)), step)) == 1
    assert len(kept(an_image((200, 100, 40), (100, 100, 38)))) == 1


def test_a_larger_face_aside_makes_it_unclear_too():
    outcome = rejected(an_image((395, 100, 60), (200, 100, 40)), MainFace(several="reject"))

    assert outcome.reason == "several_faces"


def test_without_faces_of_an_earlier_step_the_error_says_what_is_missing():
    message = "step 'main' chooses among the faces of an earlier step; add one, such as DetectFaces"
    with pytest.raises(PipelineError, match=message):
        MainFace().open(a_context("main"))([replace(an_image(), faces=None)])


def test_another_word_is_refused():
    message = "MainFace: `several` is one of take, reject; got 'all'"
    with pytest.raises(PipelineError, match=message):
        MainFace(several="all").check()  # type: ignore[arg-type]


def test_it_asks_for_no_pixels():
    assert 0 < MainFace().scale_for(4_000, 3_000) < 1e-6
