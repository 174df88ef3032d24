"""The fused chain: one outcome for each image, in order, whatever is broken on the way."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sightflow.engine.recognition import open_reader, open_recogniser
from sightflow.errors import ModelError, PipelineError, StepError
from sightflow.pipeline import Pipeline
from sightflow.protocols import Context, Process, Read
from sightflow.records import Claim, EncodedImage, ImageRecord, ModelUse, Outcome, Rejected
from sightflow.settings import RunSettings
from sightflow.sinks.images import AnnotatedImages, ImageFolder
from sightflow.testing import a_claim, a_record, an_origin, draw_scene, encode_image

PICTURE = encode_image(draw_scene(32, 24))


@dataclass(frozen=True)
class Given:
    """A source of these images: bytes, records or what was rejected; one claim each."""

    images: tuple[bytes | ImageRecord | Rejected, ...]
    copies: int = 1

    def claims(self) -> Iterator[Claim]:
        return (a_claim(sequence=i, name=f"{i}.jpg") for i in range(len(self.images)))

    def open(self, context: Context) -> Read:
        def read(claim: Claim) -> Iterator[EncodedImage | ImageRecord | Rejected]:
            image = self.images[claim.origin.sequence]
            for _ in range(self.copies):
                if isinstance(image, bytes):
                    yield EncodedImage(claim.origin, image)
                else:
                    yield replace(image, origin=claim.origin)

        return read


@dataclass(frozen=True)
class Note:
    """A step that leaves its name on each record and remembers how many came at once."""

    batches: list[int] = field(default_factory=list)
    refuse: tuple[int, ...] = ()
    """Numbers of the images that it rejects."""
    scale: float = 1.0

    def check(self) -> None:
        pass

    def scale_for(self, width: int, height: int) -> float:
        return self.scale

    def open(self, context: Context) -> Process:
        use = ModelUse(context.step, "note", "1")

        def process(records: Sequence[ImageRecord]) -> list[Outcome]:
            self.batches.append(len(records))
            return [
                Rejected(r.origin, context.step, "too_dark", "by request")
                if r.origin.sequence in self.refuse
                else replace(r, models=(*r.models, use))
                for r in records
            ]

        return process


@dataclass(frozen=True)
class Returns(Note):
    """A step that returns, or raises, the same whatever comes."""

    outcome: Any = ()

    def open(self, context: Context) -> Process:
        def process(records: Sequence[ImageRecord]) -> Sequence[Outcome]:
            if isinstance(self.outcome, Exception):
                raise self.outcome
            return self.outcome  # type: ignore[no-any-return]

        return process


def recognise(pipeline: Pipeline, **settings: Any) -> list[Outcome]:
    with ExitStack() as resources:
        context = Context("chain", resources=resources)
        chain = open_recogniser(pipeline, RunSettings(**settings), context)
        return list(chain(open_reader(pipeline, context)(list(pipeline.source.claims()))))


def run(*images: bytes | ImageRecord | Rejected, step: Any, **settings: Any) -> list[Outcome]:
    return recognise(Pipeline(Given(images)).apply("note", step), **settings)


def kinds(outcomes: Sequence[Outcome]) -> list[str]:
    """Return for each outcome why it was rejected, or the steps that saw it."""
    return [
        o.reason if isinstance(o, Rejected) else "+".join(use.step for use in o.models)
        for o in outcomes
    ]


def test_an_encoded_image_becomes_a_record_of_its_pixels() -> None:
    (record,) = run(PICTURE, step=Note())
    assert isinstance(record, ImageRecord)
    assert (record.width, record.height, record.pixels.shape) == (32, 24, (24, 32, 3))


def test_a_broken_image_is_rejected_and_the_rest_goes_on() -> None:
    outcomes = run(PICTURE, PICTURE[:200], b"", b"no image", PICTURE, step=Note())
    assert kinds(outcomes) == ["note", "corrupt", "empty", "not_an_image", "note"]
    assert [o.origin.sequence for o in outcomes] == [0, 1, 2, 3, 4]


def test_what_cannot_be_decoded_names_that_step() -> None:
    (rejected,) = run(b"no image", step=Note())
    assert isinstance(rejected, Rejected)
    assert rejected.step == "decode"
    assert "starts with the bytes" in rejected.message


def test_an_image_larger_than_allowed_is_rejected() -> None:
    assert kinds(run(PICTURE, step=Note(), max_pixels=32 * 24 - 1)) == ["too_large"]
    assert kinds(run(PICTURE, step=Note(), max_pixels=32 * 24)) == ["note"]


def test_decoded_and_rejected_images_of_a_source_pass_through() -> None:
    unreadable = Rejected(an_origin(), "read", "unreadable", "gone")
    outcomes = run(a_record(), unreadable, PICTURE, step=Note())
    assert kinds(outcomes) == ["note", "unreadable", "note"]


def test_steps_run_in_order() -> None:
    pipeline = Pipeline(Given((PICTURE,))).apply("one", Note()).apply("two", Note())
    assert kinds(recognise(pipeline)) == ["one+two"]


def test_what_a_step_rejects_keeps_its_place_and_is_not_seen_again() -> None:
    second = Note()
    pipeline = Pipeline(Given((PICTURE,) * 4))
    pipeline = pipeline.apply("one", Note(refuse=(1, 2))).apply("two", second)
    assert kinds(recognise(pipeline, batch_size=4)) == [
        "one+two",
        "too_dark",
        "too_dark",
        "one+two",
    ]
    assert second.batches == [2]


def test_a_step_is_not_called_without_records() -> None:
    step = Note()
    assert kinds(run(b"", b"", step=step)) == ["empty", "empty"]
    assert step.batches == []


def test_a_pipeline_without_steps_only_decodes() -> None:
    assert kinds(recognise(Pipeline(Given((PICTURE, b""))))) == ["", "empty"]


@pytest.mark.parametrize(("batch_size", "batches"), [(1, [1] * 5), (2, [2, 2, 1]), (8, [5])])
def test_batches_are_never_larger_than_asked_for(batch_size: int, batches: list[int]) -> None:
    step = Note()
    run(*[PICTURE] * 5, step=step, batch_size=batch_size)
    assert step.batches == batches


def test_rejected_images_take_a_place_in_a_batch() -> None:
    step = Note()
    run(PICTURE, b"", PICTURE, PICTURE, step=step, batch_size=2)
    assert step.batches == [1, 2]


def test_a_batch_of_large_pictures_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sightflow.engine.recognition._MAX_BATCH_BYTES", 2 * 32 * 24 * 3)
    step = Note()
    run(*[PICTURE] * 7, step=step, batch_size=100)
    assert step.batches == [3, 3, 1]  # the third is the first beyond two pictures


@pytest.mark.parametrize(
    ("returned", "message"),
    [((), "got 0"), ((a_record(),) * 3, "got 3")],
)
def test_a_step_must_return_one_outcome_for_each_record(returned: Any, message: str) -> None:
    expected = f"step 'note' must return one outcome for each of 2 records; {message}"
    with pytest.raises(PipelineError, match=expected):
        run(PICTURE, PICTURE, step=Returns(outcome=returned))


def test_an_error_of_a_step_is_told_with_the_step_and_the_image() -> None:
    message = r"(?s)^step 'note', image photos/a.jpg \(number 0\): ZeroDivisionError: by .*raise"
    with pytest.raises(StepError, match=message) as error:
        run(PICTURE, step=Returns(outcome=ZeroDivisionError("by the step")))
    assert isinstance(error.value.__cause__, ZeroDivisionError)
    with pytest.raises(StepError, match="or one of 1 behind it"):
        run(PICTURE, PICTURE, step=Returns(outcome=ZeroDivisionError("by the step")))


def test_an_error_that_says_what_to_do_stays_as_it_is() -> None:
    with pytest.raises(ModelError, match=r"^take another$"):
        run(PICTURE, step=Returns(outcome=ModelError("take another")))


def test_a_step_must_return_a_list() -> None:
    message = "step 'note' must return a list of outcomes; got NoneType"
    with pytest.raises(PipelineError, match=message):
        run(PICTURE, step=Returns(outcome=None))


@pytest.mark.parametrize("copies", [0, 2])
def test_a_source_must_give_as_many_images_as_it_promised(copies: int) -> None:
    message = f"photos/a.jpg: the source must give the 1 images of its claim; it gave {copies}"
    with pytest.raises(PipelineError, match=message):
        recognise(Pipeline(Given((PICTURE,), copies=copies)))


LARGE = encode_image(draw_scene(320, 240))


@pytest.mark.parametrize(
    ("scales", "options", "width"),
    [
        ([0.1], {"reduced_decode": True}, 40),  # 1/8 is the smallest that a JPEG is decoded at
        ([0.25], {"reduced_decode": True}, 80),
        ([0.1, 0.5], {"reduced_decode": True}, 160),  # enough for the step that needs most
        ([0.1, 1.0], {"reduced_decode": True}, 320),
        ([], {"reduced_decode": True}, 320),
        ([0.1], {}, 320),
    ],
)
def test_a_jpeg_is_decoded_only_as_large_as_any_step_needs(
    scales: list[float], options: dict[str, Any], width: int
) -> None:
    pipeline = Pipeline(Given((LARGE,)))
    for i, scale in enumerate(scales):
        pipeline = pipeline.apply(f"step{i}", Note(scale=scale))
    (record,) = recognise(pipeline, **options)
    assert isinstance(record, ImageRecord)
    assert record.pixels.shape[1] == width
    assert (record.width, record.height) == (320, 240)


@pytest.mark.parametrize(("kind", "width"), [(AnnotatedImages, 320), (ImageFolder, 40)])
def test_sinks_say_what_they_need_too(tmp_path: Path, kind: Any, width: int) -> None:
    pipeline = Pipeline(Given((LARGE,))).apply("small", Note(scale=0.1))
    pipeline = pipeline.write("pictures", kind(str(tmp_path)))
    (record,) = recognise(pipeline, reduced_decode=True)
    assert isinstance(record, ImageRecord)
    assert record.pixels.shape[1] == width


def test_pictures_are_written_of_what_was_recognised(tmp_path: Path) -> None:
    pipeline = Pipeline(Given((PICTURE, b"", PICTURE, PICTURE)))
    pipeline = pipeline.apply("note", Note(refuse=(2,)))
    recognise(pipeline.write("pictures", ImageFolder(str(tmp_path))))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.jpg", "3.jpg"]


def test_an_image_is_recognised_the_same_in_any_batch() -> None:
    images = [encode_image(np.full((8, 8, 3), v, np.uint8), "PNG") for v in (10, 20, 30)]
    pixels = [
        [int(r.pixels[0, 0, 0]) for r in run(*images, step=Note(), batch_size=n)]  # type: ignore[union-attr]
        for n in (1, 2, 3)
    ]
    assert pixels == [[10, 20, 30]] * 3
