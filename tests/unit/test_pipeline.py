"""A pipeline is data: immutable, checked where it is put together."""

import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import FrozenInstanceError, dataclass, field
from typing import Any

import pytest
from tests.steps import FindBlocks
from tests.streams import Offered

from sightflow import (
    AnnotatedImages,
    AnnotatedVideo,
    Classify,
    CountLine,
    Detect,
    Directory,
    ImageFolder,
    JsonLines,
    Parquet,
    Track,
    Video,
)
from sightflow import Pipeline as PublicPipeline
from sightflow.errors import OutputExistsError, PipelineError
from sightflow.models import ModelFile, zoo
from sightflow.pipeline import Pipeline
from sightflow.protocols import Context, Process
from sightflow.records import Claim
from sightflow.sources.motchallenge import MotDetections
from sightflow.tasks.enrolments import Enrolments
from sightflow.tasks.prepare import Prepare


@dataclass(frozen=True)
class Refuses:
    """A step that cannot work."""

    def check(self) -> None:
        raise PipelineError("Refuses: never works")

    def scale_for(self, width: int, height: int) -> float:
        return 1.0

    def open(self, context: Context) -> Process:
        raise AssertionError("a step that was refused is not opened")


@dataclass(frozen=True)
class ComesFirst(FindBlocks):
    """A step that refuses any before it."""

    def check_after(self, earlier: Sequence[object]) -> None:
        if earlier:
            raise PipelineError(f"ComesFirst: behind {type(earlier[-1]).__name__}")


@dataclass(frozen=True)
class HasParts(FindBlocks):
    """A step with parts in a mapping in a tuple."""

    parts: tuple[Mapping[str, Any], ...] = ()
    model: ModelFile | None = None


@dataclass(frozen=True)
class HasNeeds(FindBlocks):
    """A step that has `needs`."""

    needs: Any = ()


@dataclass(frozen=True)
class WrappedTable(Enrolments):
    """A table that is made of another one."""

    inner: Enrolments | None = None


@dataclass
class FilledLater:
    """A part with a field that has no value yet."""

    later: int = field(init=False)


def a_pipeline() -> Pipeline:
    return Pipeline(Directory("photos"))


def test_steps_and_sinks_keep_their_order() -> None:
    pipeline = (
        a_pipeline()
        .apply("one", Prepare())
        .write("out", JsonLines("a.jsonl"))
        .apply("two", Prepare())
        .write("more", Parquet("b.parquet"))
    )
    assert [step.name for step in pipeline.steps] == ["one", "two"]
    assert [named.name for named in pipeline.sinks] == ["out", "more"]


def test_each_method_returns_a_new_pipeline_and_leaves_the_old_one() -> None:
    empty = a_pipeline()
    one = empty.apply("one", Prepare())
    two = one.write("out", JsonLines("a.jsonl"))
    assert (len(empty.steps), len(one.steps), len(one.sinks), len(two.sinks)) == (0, 1, 0, 1)


def test_a_pipeline_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        a_pipeline().name = "other"  # type: ignore[misc]


def test_a_pipeline_is_equal_to_its_copy_and_survives_pickling() -> None:
    pipeline = a_pipeline().apply("classify", Classify(top_k=1)).write("out", JsonLines("a.jsonl"))
    assert pickle.loads(pickle.dumps(pipeline)) == pipeline


def test_the_public_pipeline_is_this_one() -> None:
    assert PublicPipeline is Pipeline


@pytest.mark.parametrize("name", ["", "one", "out"])
def test_a_name_must_be_given_and_be_its_own(name: str) -> None:
    pipeline = a_pipeline().apply("one", Prepare()).write("out", JsonLines("a.jsonl"))
    found = rf"{name!r} needs a name of its own; in the pipeline are \['one', 'out'\]"
    with pytest.raises(PipelineError, match=f"step {found}"):
        pipeline.apply(name, Prepare())
    with pytest.raises(PipelineError, match=f"sink {found}"):
        pipeline.write(name, JsonLines("b.jsonl"))


@pytest.mark.parametrize("source", ["photos", None, JsonLines("a.jsonl"), Directory])
def test_a_source_must_have_the_methods_of_one(source: Any) -> None:
    message = "the source needs an object with `claims` or `open_stream`; got"
    with pytest.raises(PipelineError, match=message):
        Pipeline(source)


@pytest.mark.parametrize("operator", ["classify", JsonLines("a.jsonl"), Prepare, len])
def test_a_step_must_have_the_methods_of_an_operator(operator: Any) -> None:
    message = "step 'one' needs an object with `open_learner` or `open_fold` or `open`; got"
    with pytest.raises(PipelineError, match=message):
        a_pipeline().apply("one", operator)


@pytest.mark.parametrize("sink", ["out.jsonl", Prepare(), Directory("photos"), JsonLines])
def test_a_sink_must_have_the_methods_of_one(sink: Any) -> None:
    message = (
        "sink 'out' needs an object with `open_results` or `open_images` or `open_messages`; got"
    )
    with pytest.raises(PipelineError, match=message):
        a_pipeline().write("out", sink)


class Forgetful:
    """Has the one method that tells what it is to be."""

    def __init__(self, method: str) -> None:
        setattr(self, method, lambda *arguments: None)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("open", "has `open`, so it is a step; it also needs `check`, `scale_for`"),
        ("open_fold", "is a keyed step; it also needs `check`, `max_out_of_order_ms`"),
        ("open_learner", "is a learning step; it also needs `check`, `preparation`, `takes`"),
    ],
)
def test_what_a_step_has_forgotten_is_named(method: str, message: str) -> None:
    with pytest.raises(PipelineError, match=f"step 'one': Forgetful .*{message}"):
        a_pipeline().apply("one", Forgetful(method))  # type: ignore[arg-type]


def test_what_a_source_or_a_sink_has_forgotten_is_named() -> None:
    with pytest.raises(PipelineError, match="so it is a source; it also needs `open`"):
        Pipeline(Forgetful("claims"))  # type: ignore[arg-type]
    message = "so it is a sink of results; it also needs `check`, `commit`, `discard`, `outputs`"
    with pytest.raises(PipelineError, match=message):
        a_pipeline().write("out", Forgetful("open_results"))  # type: ignore[arg-type]


def test_sinks_are_told_apart_by_what_they_take() -> None:
    pipeline = (
        a_pipeline()
        .write("pictures", AnnotatedImages("a"))
        .write("rows", JsonLines("b.jsonl"))
        .write("files", ImageFolder("c"))
    )
    assert [name for name, _ in pipeline.image_sinks] == ["pictures", "files"]
    assert [name for name, _ in pipeline.result_sinks] == ["rows"]


def test_checking_asks_each_step() -> None:
    with pytest.raises(PipelineError, match="Refuses: never works"):
        a_pipeline().apply("one", Prepare()).apply("two", Refuses()).check()


def test_checking_asks_each_sink(tmp_path: Any) -> None:
    (tmp_path / "a.jsonl").touch()
    pipeline = a_pipeline().write("out", JsonLines(str(tmp_path / "a.jsonl")))
    with pytest.raises(OutputExistsError, match=r"a\.jsonl: exists already"):
        pipeline.check()


@pytest.mark.parametrize(
    ("one", "two", "shared"),
    [
        (JsonLines("a.jsonl"), JsonLines("a.jsonl"), r"a\.jsonl"),
        (JsonLines("a.jsonl"), Parquet("a.parquet"), r"a\.rejected\.jsonl"),
        (AnnotatedImages("pictures"), ImageFolder("pictures"), "pictures"),
        (AnnotatedImages("pictures"), ImageFolder("./pictures/"), "pictures"),
    ],
)
def test_two_sinks_must_not_share_a_file(
    one: Any, two: Any, shared: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pipeline = a_pipeline().write("one", one).write("two", two)
    with pytest.raises(PipelineError, match=f"sinks 'one' and 'two' both write .*{shared}"):
        pipeline.check()


def test_sinks_with_files_of_their_own_are_accepted(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    a_pipeline().write("a", JsonLines("a.jsonl")).write("b", Parquet("b.parquet")).check()


class Both(Offered):
    """A stream that also lists claims."""

    def claims(self) -> Iterator[Claim]:
        return iter([])


def test_a_source_is_a_list_of_claims_or_a_stream_not_both() -> None:
    with pytest.raises(PipelineError, match="not both"):
        Pipeline(Both(1))


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        (Pipeline(Directory("photos")).apply("track", Track()), "Track needs detections, which no"),
        (
            Pipeline(Video("a.mp4"))
            .apply("detect", Detect())
            .apply("gate", CountLine((0, 0), (1, 1))),
            "CountLine needs tracks, which no step before it gives",
        ),
    ],
)
def test_a_step_that_lacks_what_it_needs_is_refused_before_anything_runs(pipeline, message):
    with pytest.raises(PipelineError, match=message):
        pipeline.check()


def test_a_step_that_does_not_tell_what_it_gives_may_give_anything():
    Pipeline(Directory("photos")).apply("own", FindBlocks()).apply("track", Track()).check()


def test_a_source_may_give_what_a_step_needs():
    Pipeline(MotDetections("det.txt")).apply("track", Track()).check()


@pytest.mark.parametrize("kind", [AnnotatedImages, AnnotatedVideo])
def test_a_sink_that_lacks_what_it_needs_is_refused_before_anything_runs(kind, tmp_path):
    pipeline = Pipeline(Directory("photos")).apply("classify", Classify())
    blurred = pipeline.write("pictures", kind(str(tmp_path / "out"), blur_unknown=True))

    with pytest.raises(PipelineError, match=f"sink 'pictures': {kind.__name__} needs faces, which"):
        blurred.check()
    pipeline.write("pictures", AnnotatedImages(str(tmp_path / "out"))).check()


def test_a_step_may_refuse_those_before_it():
    pipeline = Pipeline(Directory("photos")).apply("first", FindBlocks()).apply("own", ComesFirst())

    with pytest.raises(PipelineError, match=r"^step 'own': ComesFirst: behind FindBlocks$"):
        pipeline.check()
    Pipeline(Directory("photos")).apply("own", ComesFirst()).check()


def test_models_and_tables_are_found_wherever_they_are_in_a_step():
    enrolments = Enrolments("people.jsonl")
    step = HasParts(({"faces": enrolments},), zoo("nanodet"))
    pipeline = Pipeline(Directory("photos")).apply("own", step)

    assert pipeline.tables == (enrolments,)
    assert [model.card.name for model in pipeline.models] == [
        "blazeface_back",
        "mtcnn_onet",
        "mobilefacenet",
        "nanodet",
    ]


def test_a_model_that_several_steps_use_is_there_once():
    step = HasParts(({"faces": Enrolments("people.jsonl")},), zoo("mobilefacenet"))
    pipeline = Pipeline(Directory("photos")).apply("own", step).apply("same", step)

    assert len(pipeline.models) == 3
    assert len(pipeline.tables) == 1


def test_a_table_that_is_made_of_a_table_is_one():
    wrapped = WrappedTable("outer.jsonl", inner=Enrolments("inner.jsonl"))
    pipeline = Pipeline(Directory("photos")).apply("own", HasParts(({"faces": wrapped},)))

    assert pipeline.tables == (wrapped,)


def test_parts_that_are_in_themselves_are_looked_at_once():
    circle: list[Any] = [zoo("nanodet")]
    circle.append(circle)
    step = HasParts(({"faces": circle},), None)
    pipeline = Pipeline(Directory("photos")).apply("own", step)

    assert [model.card.name for model in pipeline.models] == ["nanodet"]
    assert pipeline.tables == ()


def test_fields_that_are_filled_later_are_left_out():
    pipeline = Pipeline(Directory("photos")).apply("own", HasParts(({"faces": FilledLater()},)))

    assert pipeline.models == ()


@pytest.mark.parametrize("needs", [True, None, "faces", (1,)])
def test_what_is_needed_is_told_by_names(needs):
    step = HasNeeds(needs=needs)
    with pytest.raises(PipelineError, match="HasNeeds: `needs` is a tuple of fields of a record"):
        Pipeline(Directory("photos")).apply("own", step).check()


def test_what_a_step_refuses_is_told_with_its_name() -> None:
    pipeline = a_pipeline().apply("second", Classify(top_k=0))
    message = r"^step 'second': Classify: `top_k` is a whole number from 1; got 0$"
    with pytest.raises(PipelineError, match=message):
        pipeline.check()
