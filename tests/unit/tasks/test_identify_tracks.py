"""Whose face a track shows: told once, by a vote of its best pictures, and forgotten with them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from sightflow import Directory, Pipeline
from sightflow.engine.chunks import ChunkResult, Recognised
from sightflow.engine.folds import KeyedChain, open_keyed
from sightflow.errors import JobError, PipelineError
from sightflow.protocols import Context, TableStream
from sightflow.records import Faces, ImageRecord, TableUpdate
from sightflow.tasks.gallery import Gallery, GalleryTable, face_row
from sightflow.tasks.identify import Identify
from sightflow.tasks.identify_tracks import IdentifyTracks
from sightflow.testing import a_context, a_record, an_origin

FRAME_MS = 100
PERSON = np.array([1, 0], np.float32)

Seen = tuple[int | None, str | None] | tuple[int | None, str | None, float]
"""Track, whose face a picture says it is, and its side in pixels."""


@dataclass(frozen=True)
class People:
    """A gallery of those who are enrolled; tests change its table while a step works."""

    table: GalleryTable = field(default_factory=GalleryTable)

    def check(self) -> None:
        """Refuse nobody."""

    def open_updates(
        self, context: Context, position: str | None, rows: Mapping[str, bytes]
    ) -> TableStream:
        raise NotImplementedError

    def open_table(self) -> GalleryTable:
        return self.table


class NamesFaces:
    """A step of somebody else that says whose faces they are."""

    gives = ("faces.person_ids",)


def people(*names: str) -> People:
    gallery = People()
    rows = {name: face_row(name, PERSON, "m 1") for name in names}
    gallery.table.update(TableUpdate(1, rows))
    return gallery


def forget(gallery: People, name: str) -> None:
    gallery.table.update(TableUpdate(gallery.table.version + 1, {name: None}))


def image(number: int, *seen: Seen) -> ImageRecord:
    """Return an image of square faces, 40 pixels wide unless told otherwise."""
    full = [(*one, 40.0)[:3] for one in seen]
    sides = np.array([side for *_, side in full], np.float32)
    faces = Faces(
        np.stack([np.zeros_like(sides), np.zeros_like(sides), sides, sides], axis=1),
        np.full(len(full), 0.5, np.float32),
        np.zeros((len(full), 5, 2), np.float32),
        person_ids=tuple(name for _, name, _ in full),
        similarities=np.array([0.8 if name else 0.2 for _, name, _ in full], np.float32),
        track_ids=tuple(track for track, *_ in full),
    )
    origin = an_origin(source_id="cam", sequence=number, event_time_ms=number * FRAME_MS)
    return a_record(origin=origin, width=640, height=480, faces=faces)


def one_face(*names: str | None, track: int = 1) -> list[ImageRecord]:
    """Return images of one followed face, with what each says of it."""
    return [image(t, (track, name)) for t, name in enumerate(names)]


class Run:
    """Images passed through the step one by one, with a restart after each."""

    def __init__(self, gallery: People, **options: Any) -> None:
        step = IdentifyTracks(gallery, **options)
        pipeline = Pipeline(Directory("x")).apply("who", step)
        self.chain: KeyedChain = open_keyed(pipeline, a_context())
        self.memory = self.chain.initial()
        self.n_images = 0
        self.results: list[ChunkResult] = []

    def take(self, *images: ImageRecord) -> "Run":
        for record in images:
            self.memory = self.chain.decode(self.chain.encode(self.memory))
            chunk = Recognised(self.n_images, (record,), "cam", self.n_images)
            self.memory, result = self.chain.take(self.memory, chunk)
            self.results.append(result)
            self.n_images += 1
        return self

    @property
    def names(self) -> list[list[str | None]]:
        """The names of the faces of each image."""
        return [
            [face["person_id"] for face in row["faces"]]
            for result in self.results
            for row in result.rows
        ]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [dict(event) for result in self.results for event in result.events]

    @property
    def bytes(self) -> bytes:
        return self.chain.encode(self.memory)


def told(gallery: People, images: list[ImageRecord], **options: Any) -> list[str | None]:
    """Return the name of the one face of each image."""
    return [name for (name,) in Run(gallery, **options).take(*images).names]


# The vote


def test_a_face_is_somebodys_once_enough_pictures_say_so():
    images = one_face("Ada", "Ada", "Ada")

    assert told(people("Ada"), images) == [None, "Ada", "Ada"]
    assert told(people("Ada"), images, min_votes=3) == [None, None, "Ada"]
    assert told(people("Ada"), images, min_votes=1) == ["Ada", "Ada", "Ada"]


def test_a_single_bad_picture_changes_nothing():
    images = one_face("Ada", "Ada", "Bob", None, "Ada")

    assert told(people("Ada", "Bob"), images) == [None, "Ada", "Ada", None, "Ada"]


def test_more_than_half_of_the_pictures_must_agree():
    """Of four, two say Ada: that is not more than half."""
    images = one_face("Ada", None, "Ada", None, "Ada")

    assert told(people("Ada"), images) == [None, None, "Ada", None, "Ada"]


def test_pictures_that_say_nobody_make_nobody():
    assert told(people("Ada"), one_face(None, None, None)) == [None, None, None]


def test_the_name_follows_the_track_not_the_picture():
    images = [
        image(0, (1, "Ada"), (2, "Bob")),
        image(1, (2, "Bob"), (1, "Ada")),
        image(2, (1, "Bob"), (2, None)),
    ]

    run = Run(people("Ada", "Bob")).take(*images)

    assert run.names == [[None, None], ["Bob", "Ada"], ["Ada", "Bob"]]


def test_a_face_without_a_track_has_no_name():
    images = [image(0, (None, "Ada"), (1, "Ada")), image(1, (None, "Ada"), (1, "Ada"))]

    assert Run(people("Ada")).take(*images).names == [[None, None], [None, "Ada"]]


def test_the_best_pictures_vote_and_small_ones_do_not():
    """Two large pictures say Ada; five small ones say Bob, and are not among the best two."""
    images = [image(t, (1, "Ada", 80)) for t in range(2)]
    images += [image(t, (1, "Bob", 20)) for t in range(2, 7)]

    assert told(people("Ada", "Bob"), images, n_best=2) == [None, *["Ada"] * 6]
    assert told(people("Ada", "Bob"), images, n_best=7)[-1] == "Bob"


def test_better_pictures_take_the_place_of_those_before():
    images = [image(t, (1, "Ada", 20)) for t in range(2)]
    images += [image(t, (1, "Bob", 80)) for t in range(2, 4)]

    assert told(people("Ada", "Bob"), images, n_best=2) == [None, "Ada", None, "Bob"]


def test_of_pictures_that_are_equally_good_the_newest_vote():
    images = one_face("Ada", "Ada", "Bob", "Bob")

    assert told(people("Ada", "Bob"), images, n_best=2) == [None, "Ada", None, "Bob"]


def test_a_picture_votes_for_a_time_only():
    """What the first two said, at 0 and 100 ms, holds no longer at 400 ms, large as they were."""
    images = [image(t, (1, "Ada", 80)) for t in range(2)]
    images += [image(t, (1, "Bob", 20)) for t in range(2, 6)]

    names = told(people("Ada", "Bob"), images, memory_ms=300, n_best=2)

    assert names == [None, "Ada", "Ada", None, "Bob", "Bob"]


def test_a_sharper_picture_is_one_that_scores_more():
    """Side times score: 40 x 0.9 is better than 60 x 0.5."""
    small, large = image(0, (1, "Ada", 40)), image(1, (1, "Bob", 60))
    assert small.faces is not None
    small = replace(small, faces=replace(small.faces, scores=np.array([0.9], np.float32)))

    assert told(people("Ada", "Bob"), [small, large], n_best=1, min_votes=1) == ["Ada", "Ada"]


def test_similarities_stay_those_of_the_pictures():
    run = Run(people("Ada")).take(*one_face("Ada", "Ada", None))

    similarities = [row["faces"][0]["similarity"] for r in run.results for row in r.rows]
    assert similarities == [0.8, 0.8, 0.2]


# Events


def test_it_is_told_once_whose_face_it_is():
    (event,) = Run(people("Ada")).take(*one_face(*["Ada"] * 5)).events

    assert event == {
        "kind": "identified",
        "step": "who",
        "source_id": "cam",
        "sequence": 1,
        "event_time_ms": 100,
        "track_id": 1,
        "person_id": "Ada",
        "box_xyxy": (0.0, 0.0, 40.0, 40.0),
        "figures": {"similarity": pytest.approx(0.8), "n_votes": 2.0},
    }


def test_figures_are_of_those_who_voted_for_the_person():
    """Three of four: 0.8 each; what said otherwise had 0.2."""
    run = Run(people("Ada"), min_votes=3).take(*one_face("Ada", None, "Ada", "Ada"))

    (event,) = run.events
    assert event["figures"] == {"similarity": pytest.approx(0.8), "n_votes": 3.0}


def test_it_is_told_again_when_it_is_somebody_else():
    images = [image(t, (1, "Ada", 20)) for t in range(2)]
    images += [image(t, (1, "Bob", 80)) for t in range(2, 6)]

    events = Run(people("Ada", "Bob"), n_best=2).take(*images).events

    assert [(e["sequence"], e["person_id"]) for e in events] == [(1, "Ada"), (3, "Bob")]


def test_each_track_has_an_event_of_its_own():
    images = [image(t, (1, "Ada"), (2, "Ada"), (3, None)) for t in range(4)]

    events = Run(people("Ada")).take(*images).events

    assert [(e["track_id"], e["person_id"]) for e in events] == [(1, "Ada"), (2, "Ada")]


# Those who leave, and those who are forgotten


def test_a_track_that_is_not_seen_any_more_is_dropped():
    """It was last seen at 100 ms, and is remembered for 300 ms."""
    run = Run(people("Ada"), max_age_ms=300).take(*one_face("Ada", "Ada"))

    assert b"Ada" in run.take(image(4)).bytes
    assert b"Ada" not in run.take(image(5)).bytes


def test_a_track_that_comes_back_in_time_has_its_name_and_no_second_event():
    run = Run(people("Ada"), max_age_ms=300).take(*one_face("Ada", "Ada"), image(2), image(3))

    run.take(image(4, (1, None)))

    assert run.names[-1] == ["Ada"]
    assert len(run.events) == 1


def test_the_state_does_not_grow_with_time():
    run = Run(people("Ada"), max_age_ms=500, n_best=3)
    sizes = []
    for t in range(300):
        run.take(image(t, (1 + t // 4, "Ada"), (10_000, "Ada")))
        sizes.append(len(run.bytes))

    assert max(sizes[100:]) <= max(sizes[:100]) + 32


def test_who_is_forgotten_is_nobody_from_the_next_image_on():
    gallery = people("Ada", "Bob")
    run = Run(gallery).take(*one_face("Ada", "Ada"))
    forget(gallery, "Ada")

    run.take(image(2, (1, None)), image(3, (1, None)))

    assert run.names == [[None], ["Ada"], [None], [None]]


def test_nothing_of_who_is_forgotten_is_written_into_the_next_checkpoint():
    """Also where no image has come since."""
    gallery = people("Ada", "Bob")
    images = [image(t, (1, "Ada"), (2, "Bob"), (3, "Ada")) for t in range(2)]
    run = Run(gallery).take(*images, image(2, (3, "Bob")))
    assert b"Ada" in run.bytes
    forget(gallery, "Ada")

    assert b"Ada" not in run.bytes
    assert b"Bob" in run.bytes


def test_nothing_of_who_is_forgotten_stays_in_memory_after_the_next_image():
    """No checkpoint is between them; who is looked at then is nobody, and so is his track."""
    gallery = people("Ada")
    fold = IdentifyTracks(gallery).open_fold(a_context())
    state = fold.initial()
    for record in one_face("Ada", "Ada"):
        state, _, _ = fold.step(state, record)
    assert "Ada" in repr(state)
    forget(gallery, "Ada")

    state, record, _ = fold.step(state, image(2, (1, None)))

    assert "Ada" not in repr(state)
    assert record.faces is not None
    assert record.faces.person_ids == (None,)


def test_an_older_checkpoint_brings_nobody_back_who_was_forgotten_since():
    gallery = people("Ada")
    run = Run(gallery).take(*one_face("Ada", "Ada"))
    old = run.bytes
    forget(gallery, "Ada")

    run.memory = run.chain.decode(old)
    run.take(image(2, (1, None)))

    assert run.names[-1] == [None]
    assert b"Ada" not in run.bytes


def test_a_picture_that_still_says_a_forgotten_name_counts_until_the_next_image():
    """It was looked up before the news of it came; with the image behind it nothing is left."""
    gallery = people("Ada")
    run = Run(gallery).take(*one_face("Ada", "Ada"))
    forget(gallery, "Ada")

    run.take(image(2, (1, "Ada")), image(3, (1, None)))

    assert run.names[-1] == [None]
    assert b"Ada" not in run.bytes


def test_where_a_name_is_forgotten_the_other_pictures_still_vote():
    """Three of five say Bob."""
    gallery = people("Ada", "Bob")
    run = Run(gallery).take(*one_face("Ada", "Ada", "Bob", "Bob", "Bob"))
    forget(gallery, "Ada")

    run.take(image(5, (1, "Bob")))

    assert run.names[-1] == ["Bob"]


def test_who_is_enrolled_again_is_identified_anew():
    gallery = people("Ada")
    run = Run(gallery, n_best=2).take(*one_face("Ada", "Ada"))
    forget(gallery, "Ada")
    run.take(image(2, (1, None)))
    gallery.table.update(TableUpdate(9, {"new": face_row("Ada", PERSON, "m 1")}))

    run.take(*(image(t, (1, "Ada", 80)) for t in (3, 4)))

    assert run.names[-1] == ["Ada"]
    assert [event["sequence"] for event in run.events] == [1, 4]


# Its state, and what cannot be


def test_a_state_comes_back_as_it_was():
    fold = IdentifyTracks(people("Ada", "Zoë")).open_fold(a_context())
    state = fold.initial()
    for record in [image(t, (1, "Ada"), (7, "Zoë", 20), (2**40, None)) for t in range(3)]:
        state, _, _ = fold.step(state, record)

    assert fold.decode(fold.encode(state)) == state
    assert set(state.faces) == {1, 7, 2**40}


def test_a_step_leaves_the_state_before_as_it_was():
    fold = IdentifyTracks(people("Ada")).open_fold(a_context())
    first, _, _ = fold.step(fold.initial(), image(0, (1, "Ada")))
    before = fold.encode(first)

    fold.step(first, image(1, (1, "Ada"), (2, "Ada")))

    assert fold.encode(first) == before
    assert fold.initial().faces == {}


def test_a_state_of_another_version_is_refused():
    fold = IdentifyTracks(people()).open_fold(a_context())
    data = fold.encode(fold.initial()).replace(b'"version":1', b'"version":9')

    message = "^the checkpoint's followed faces must be of version 1; got 9; start the run anew$"
    with pytest.raises(JobError, match=message):
        fold.decode(data)


@pytest.mark.parametrize("missing", ["faces", "person_ids", "track_ids"])
def test_faces_that_are_not_followed_or_not_looked_up_are_refused(missing):
    record = image(0, (1, "Ada"))
    assert record.faces is not None
    faces = None if missing == "faces" else replace(record.faces, **{missing: None})

    message = r"step 'who' names faces that .*; put Identify and Track\(of=\"faces\"\) before it"
    with pytest.raises(PipelineError, match=message):
        Run(people("Ada")).take(replace(record, faces=faces))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_best": 0}, "IdentifyTracks: `n_best` is a whole number from 1; got 0"),
        ({"min_votes": 0}, "IdentifyTracks: `min_votes` is a whole number from 1; got 0"),
        ({"memory_ms": 0}, "IdentifyTracks: `memory_ms` is a whole number from 1; got 0"),
        ({"max_age_ms": -1}, "IdentifyTracks: `max_age_ms` is a whole number from 0; got -1"),
        (
            {"max_out_of_order_ms": -1},
            "IdentifyTracks: `max_out_of_order_ms` is a whole number from 0; got -1",
        ),
        (
            {"n_best": 2, "min_votes": 3},
            "IdentifyTracks: `min_votes` is at most `n_best`; got 3 and 2",
        ),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(PipelineError, match=message):
        IdentifyTracks(people(), **options).check()


def test_names_from_another_gallery_are_refused():
    gallery, other = people("Ada"), people("Bob")

    with pytest.raises(PipelineError, match="IdentifyTracks: `gallery` is that of Identify"):
        IdentifyTracks(gallery).check_after([Identify(other)])
    IdentifyTracks(gallery).check_after([Identify(other), Identify(gallery)])
    IdentifyTracks(gallery).check_after([Identify(other), NamesFaces()])


def test_a_gallery_is_one_gallery_however_its_folder_is_written():
    IdentifyTracks(Gallery("./there/")).check_after([Identify(Gallery("there"))])
