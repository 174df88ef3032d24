"""Whose face it is, among those who are enrolled; everybody else stays unknown."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from sightflow.errors import PipelineError
from sightflow.protocols import Context, TableStream
from sightflow.records import Faces, ImageRecord, ModelUse, TableUpdate, result_row
from sightflow.tasks.embed_faces import EmbedFaces
from sightflow.tasks.gallery import GalleryTable, face_row
from sightflow.tasks.identify import Identify
from sightflow.testing import a_context, a_record

ADA, BOB = (1.0, 0.0), (0.0, 1.0)
MODEL = "mobilefacenet 1"


class OwnEmbedder:
    """A step of somebody else that describes faces."""

    gives = ("faces.embeddings",)


def at(degrees: float) -> tuple[float, float]:
    """Return an embedding so far from Ada, who is 90 degrees from Bob."""
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


@dataclass(frozen=True)
class Enrolled:
    """A gallery in memory: embeddings of two numbers by person."""

    people: Mapping[str, tuple[float, float]] = field(
        default_factory=lambda: {"Ada": ADA, "Bob": BOB}
    )
    model: str = MODEL
    version: int = 7

    def check(self) -> None:
        """Refuse nobody."""

    def open_updates(
        self, context: Context, position: str | None, rows: Mapping[str, bytes]
    ) -> TableStream:
        raise NotImplementedError

    def open_table(self) -> GalleryTable:
        """Return the table with all of them."""
        table = GalleryTable()
        rows = {
            name: face_row(name, np.array(numbers, np.float32), self.model)
            for name, numbers in self.people.items()
        }
        table.update(TableUpdate(self.version, rows))
        return table


@dataclass(frozen=True)
class KnowsItsModel(Enrolled):
    """A gallery that tells its model before it is opened."""

    embedder_name: str = "other 2"


def an_image(*embeddings: tuple[float, float], model: str = "mobilefacenet") -> ImageRecord:
    """Return an image with faces that `model` has described."""
    n = len(embeddings)
    faces = Faces(
        np.zeros((n, 4), np.float32),
        np.ones(n, np.float32),
        np.zeros((n, 5, 2), np.float32),
        embeddings=np.array(embeddings, np.float32).reshape(n, -1 if n else 0),
    )
    uses = (ModelUse("detect", "blazeface_back", "1"), ModelUse("embed", model, "1"))
    return a_record(faces=faces, models=uses)


def identified(
    *images: ImageRecord, gallery: Enrolled | None = None, **options: float
) -> list[Faces]:
    process = Identify(gallery or Enrolled(), **options).open(a_context("who"))
    outcomes = process(images)
    faces = [outcome.faces for outcome in outcomes if isinstance(outcome, ImageRecord)]
    assert len(faces) == len(images)
    return [found for found in faces if found is not None]


def names_of(*embeddings: tuple[float, float], **options: float) -> tuple[str | None, ...]:
    (faces,) = identified(an_image(*embeddings), **options)
    assert faces.person_ids is not None
    return faces.person_ids


def test_a_face_gets_the_name_of_who_is_most_like_it():
    (faces,) = identified(an_image(at(10), at(80)))

    assert faces.person_ids == ("Ada", "Bob")
    assert faces.similarities == pytest.approx([0.9848, 0.9848], abs=1e-4)  # cos 10
    assert faces.similarities.dtype == np.float32


def test_who_is_less_like_anybody_than_min_similarity_stays_unknown():
    """The cosine of 60 degrees is 0.5."""
    assert names_of(at(-60), min_similarity=0.4999, min_margin=0) == ("Ada",)
    assert names_of(at(-60), min_similarity=0.5001, min_margin=0) == (None,)


def test_how_alike_an_unknown_face_is_can_be_read():
    (faces,) = identified(an_image(at(-60)), min_similarity=0.9)

    assert faces.person_ids == (None,)
    assert faces.similarities == pytest.approx([0.5])


def test_who_is_like_two_people_stays_unknown():
    """At 44 degrees the cosines are 0.7193 and 0.6947: a margin of 0.0247."""
    assert names_of(at(44), min_margin=0.024) == ("Ada",)
    assert names_of(at(44), min_margin=0.025) == (None,)


def test_a_second_picture_of_the_same_person_takes_nothing_from_the_margin():
    people = {"Ada": ADA, "Bob": BOB}

    class Twice(Enrolled):
        def open_table(self) -> GalleryTable:
            table = super().open_table()
            other = face_row("Ada", np.array(at(5), np.float32), MODEL)
            table.update(TableUpdate(8, {"another": other}))
            return table

    (faces,) = identified(an_image(at(2)), gallery=Twice(people), min_margin=0.5)

    assert faces.person_ids == ("Ada",)


def test_where_one_person_is_enrolled_only_the_similarity_counts():
    only = Enrolled({"Ada": ADA})

    (faces,) = identified(an_image(at(30), at(70)), gallery=only, min_margin=0.5)

    assert faces.person_ids == ("Ada", None)


def test_an_empty_gallery_knows_nobody():
    (faces,) = identified(an_image(ADA, BOB), gallery=Enrolled({}), min_similarity=-1, min_margin=0)

    assert faces.person_ids == (None, None)
    assert faces.similarities.tolist() == [-1, -1]


def test_embeddings_of_those_who_pass_by_are_dropped():
    process = Identify(Enrolled()).open(a_context("who"))

    (outcome,) = process([an_image(ADA, at(-60))])

    assert outcome.faces.embeddings is None
    for face in result_row(outcome)["faces"]:
        assert "embedding" not in face
        assert set(face) >= {"person_id", "similarity"}


def test_each_image_of_a_batch_gets_the_names_of_its_own_faces():
    found = identified(an_image(), an_image(ADA, at(-90)), an_image(), an_image(BOB))

    assert [faces.person_ids for faces in found] == [(), ("Ada", None), (), ("Bob",)]
    assert [len(faces.similarities) for faces in found] == [0, 2, 0, 1]


def test_images_without_faces_are_results_too():
    found = identified(an_image(), an_image())

    assert [faces.person_ids for faces in found] == [(), ()]


def test_results_say_which_version_of_the_gallery_was_asked():
    process = Identify(Enrolled(version=12)).open(a_context("who"))

    (outcome,) = process([an_image(ADA)])

    assert outcome.models[-1] == ModelUse("who", "gallery", "12")
    assert [use.step for use in outcome.models] == ["detect", "embed", "who"]


def test_who_is_enrolled_and_forgotten_meanwhile_is_known_and_unknown_from_then_on():
    table = Enrolled({"Bob": BOB}).open_table()
    context = replace(a_context("who"), tables=lambda source: lambda: table)
    process = Identify(Enrolled()).open(context)

    def name_of_ada() -> tuple[object, str]:
        (outcome,) = process([an_image(ADA)])
        return outcome.faces.person_ids[0], outcome.models[-1].version

    assert name_of_ada() == (None, "7")
    table.update(TableUpdate(8, {"a": face_row("Ada", np.array(ADA, np.float32), MODEL)}))
    assert name_of_ada() == ("Ada", "8")
    table.update(TableUpdate(9, {"a": None}))
    assert name_of_ada() == (None, "9")


def test_faces_that_another_model_has_described_are_refused():
    message = (
        "^step 'who': the gallery has embeddings of mobilefacenet 1; the faces are described by "
        "facenet 1; take the model that the gallery was made with$"
    )
    with pytest.raises(PipelineError, match=message):
        identified(an_image(ADA, model="facenet"))


def test_faces_of_another_version_of_the_model_are_refused():
    with pytest.raises(PipelineError, match=r"embeddings of mobilefacenet 2; .* mobilefacenet 1;"):
        identified(an_image(ADA), gallery=Enrolled(model="mobilefacenet 2"))


def test_an_empty_gallery_takes_the_faces_of_any_model():
    (faces,) = identified(an_image(ADA, model="facenet"), gallery=Enrolled({}))

    assert faces.person_ids == (None,)


@pytest.mark.parametrize("has_faces", [True, False])
def test_without_embeddings_the_error_says_what_is_missing(has_faces):
    image = an_image(ADA)
    faces = replace(image.faces, embeddings=None) if has_faces and image.faces else None

    message = "step 'who' looks up the embeddings of faces; put EmbedFaces before it"
    with pytest.raises(PipelineError, match=message):
        identified(replace(image, faces=faces))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_similarity": 1.1}, r"Identify: `min_similarity` is in \[-1, 1\]; got 1.1"),
        ({"min_margin": -0.1}, r"Identify: `min_margin` is in \[0, 2\]; got -0.1"),
        ({"gallery": "people"}, "Identify: `gallery` is a table of faces; got 'people'"),
        ({"gallery": Enrolled}, "Identify: `gallery` is a table of faces; got <class"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(PipelineError, match=message):
        Identify(**{"gallery": Enrolled(), **options}).check()


def test_the_gallery_is_checked_with_the_step():
    class Closed(Enrolled):
        def check(self) -> None:
            raise PipelineError("it is closed")

    with pytest.raises(PipelineError, match="it is closed"):
        Identify(Closed()).check()


def test_a_second_look_up_finds_no_embeddings():
    with pytest.raises(PipelineError, match="the Identify before it drops the embeddings"):
        Identify(Enrolled()).check_after([EmbedFaces(), Identify(Enrolled())])

    Identify(Enrolled()).check_after([EmbedFaces(), Identify(Enrolled()), EmbedFaces()])
    Identify(Enrolled()).check_after([EmbedFaces(), Identify(Enrolled()), OwnEmbedder()])
    Identify(Enrolled()).check_after([OwnEmbedder()])


def test_a_gallery_of_another_model_is_refused_before_anything_runs():
    message = (
        "Identify: the gallery has embeddings of other 2; the faces are described by mobileface"
    )
    with pytest.raises(PipelineError, match=message):
        Identify(KnowsItsModel()).check_after([EmbedFaces()])
    Identify(KnowsItsModel(embedder_name=MODEL)).check_after([EmbedFaces()])


def test_an_embedder_that_may_become_another_one_is_refused():
    with pytest.raises(PipelineError, match="leave out `follow` of EmbedFaces"):
        Identify(Enrolled()).check_after([EmbedFaces(follow=True)])
