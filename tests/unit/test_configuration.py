"""A pipeline survives the way through YAML, and each mistake in a file is named with its place."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sightflow import (
    AnnotatedImages,
    Classify,
    Detect,
    Directory,
    ImageFolder,
    JsonLines,
    Parquet,
    Pipeline,
    Prepare,
    Preprocess,
    RunSettings,
    Union,
    Video,
)
from sightflow.configuration import read_pipeline, to_yaml
from sightflow.errors import PipelineError
from sightflow.protocols import Context, Process


@dataclass(frozen=True)
class Stamp:
    """A step of a user's own package."""

    text: str = "seen"
    times: int = 1

    def check(self) -> None:
        pass

    def scale_for(self, width: int, height: int) -> float:
        return 1.0

    def open(self, context: Context) -> Process:
        return list


class NoDataclass:
    """Has no declared options."""


def read(tmp_path: Path, text: str) -> tuple[Pipeline, RunSettings]:
    path = tmp_path / "job.yaml"
    path.write_text(text)
    return read_pipeline(path)


def through_yaml(tmp_path: Path, pipeline: Pipeline) -> Pipeline:
    return read(tmp_path, to_yaml(pipeline))[0]


SMALL = "source: {kind: Directory, paths: photos}\n"


def test_a_file_reads_like_the_pipeline_that_it_describes(tmp_path: Path) -> None:
    pipeline, settings = read(
        tmp_path,
        """
        name: holiday
        source: {kind: Directory, paths: photos, pattern: "*.jpg"}
        steps:
          - {name: find, kind: Detect, model: nanodet, min_score: 0.5}
        sinks:
          - {name: results, kind: JsonLines, path: results.jsonl, overwrite: true}
        run: {batch_size: 8}
        """,
    )
    assert pipeline == (
        Pipeline(Directory("photos", pattern="*.jpg"), name="holiday")
        .apply("find", Detect(min_score=0.5))
        .write("results", JsonLines("results.jsonl", overwrite=True))
    )
    assert settings == RunSettings(batch_size=8)


def test_all_but_the_source_may_be_left_out(tmp_path: Path) -> None:
    assert read(tmp_path, SMALL) == (Pipeline(Directory("photos")), RunSettings())
    assert read(tmp_path, SMALL + "steps:\nsinks:\nrun:\n")[0] == Pipeline(Directory("photos"))


@pytest.mark.parametrize(
    "source",
    [
        Directory("photos"),
        Directory(("a", "b c#.zip"), pattern="*.jpg", recursive=False),
        Video("clip.mp4"),
        Video("clip.mp4", fps=2.5, segment_frames=8, start_time_ms=7),
        Union((Directory("photos"), Video("clip.mp4", every=3))),
        Union((Union((Directory("a"),)), Directory("b"))),
    ],
)
def test_sources_survive_the_way_through_yaml(tmp_path: Path, source: Any) -> None:
    assert through_yaml(tmp_path, Pipeline(source)).source == source


@pytest.mark.parametrize(
    "operator",
    [
        Classify(),
        Classify(top_k=1, min_score=0.25, scenes=True),
        Detect(),
        Detect(min_score=0.05, max_iou=0.5, max_objects=7),
        Prepare(),
        Prepare(Preprocess(resize=8, crop=(6, 4), interpolation="area", mean=(1.5, 2, 3))),
    ],
)
def test_operators_survive_the_way_through_yaml(tmp_path: Path, operator: Any) -> None:
    pipeline = Pipeline(Directory("photos")).apply("step", operator)
    assert through_yaml(tmp_path, pipeline) == pipeline


@pytest.mark.parametrize(
    "sink",
    [
        JsonLines("a.jsonl", overwrite=True),
        Parquet("a.parquet"),
        AnnotatedImages("pictures", min_score=0.5, quality=80),
        ImageFolder("folder", format="npy"),
    ],
)
def test_sinks_survive_the_way_through_yaml(tmp_path: Path, sink: Any) -> None:
    pipeline = Pipeline(Directory("photos"), name="job").write("sink", sink)
    assert through_yaml(tmp_path, pipeline) == pipeline


def test_settings_survive_the_way_through_yaml(tmp_path: Path) -> None:
    settings = RunSettings(runner="inline", workers=3, reduced_decode=True)
    assert read(tmp_path, to_yaml(Pipeline(Directory("photos")), settings))[1] == settings


def test_options_at_their_default_are_not_written() -> None:
    text = to_yaml(Pipeline(Directory("photos")).apply("find", Detect()))
    assert "min_score" not in text
    assert "model" not in text


def test_a_kind_of_ones_own_is_named_by_its_import_path(tmp_path: Path) -> None:
    text = SMALL + f"steps: [{{name: stamp, kind: '{__name__}:Stamp', text: hello}}]"
    pipeline, _ = read(tmp_path, text)
    assert pipeline.steps[0].operator == Stamp("hello")
    assert f"kind: {__name__}:Stamp" in to_yaml(pipeline).replace("'", "")
    assert through_yaml(tmp_path, pipeline) == pipeline


def test_options_of_a_kind_of_ones_own_are_checked_too(tmp_path: Path) -> None:
    text = SMALL + f"steps: [{{name: stamp, kind: '{__name__}:Stamp', times: many}}]"
    with pytest.raises(PipelineError, match=r"steps\[0\]\.times: Expected `int`, got `str`"):
        read(tmp_path, text)


def test_a_part_that_is_no_dataclass_cannot_be_written() -> None:
    class Bare:
        def claims(self) -> Any: ...

        def open(self, context: Context) -> Any: ...

    with pytest.raises(PipelineError, match="must be a dataclass to be written as YAML"):
        to_yaml(Pipeline(Bare()))


MISTAKES = {
    "an unknown section": ("sourc: {}", r"needs `source` and may have name, .* got \['sourc'\]"),
    "one section too many": (SMALL + "step: []", r"needs .*; got \['source', 'step'\]"),
    "no source": ("name: x", r"needs `source`"),
    "a source without a kind": ("source: {paths: x}", r"source: must be a mapping with a `kind`"),
    "a source that is text": (
        "source: photos",
        r"source: .* one of Annotated, Cameras, .*; got 'photos'",
    ),
    "an unknown kind": (
        "source: {kind: Folder, paths: x}",
        r"source\.kind: no source is named 'Folder'; known: Annotated, Cameras, .*; .*:Class",
    ),
    "a kind of another group": (
        "source: {kind: JsonLines, path: x}",
        r"source\.kind: no source is named 'JsonLines'",
    ),
    "a kind that cannot be imported": (
        "source: {kind: 'no_such_package:Thing'}",
        r"source\.kind: .*'no_such_package:Thing' cannot be imported",
    ),
    "a kind without a module": ("source: {kind: ':Thing'}", r"source\.kind: .*':Thing'"),
    "a kind that is no dataclass": (
        f"source: {{kind: '{__name__}:NoDataclass'}}",
        r"source.*NoDataclass.*dataclass",
    ),
    "an unknown option": (
        "source: {kind: Directory, path: x}",
        r"source\.path: no such option; Directory has \['paths', 'pattern', 'recursive', 'fps', ",
    ),
    "an unknown option of an item in a list": (
        "source: {kind: Directory, paths: x}\nsinks: [{name: v, kind: AnnotatedVideo, path: v.mp4, "
        "outlines: [{name: a, point: [[0, 0], [1, 1]]}]}]",
        r"sinks\[0\]\.outlines\[0\]\.point: no such option; Outline has \['name', 'points', ",
    ),
    "a missing option": (
        "source: {kind: Directory}",
        r"source: Directory needs paths",
    ),
    "a wrong type": (
        SMALL + "steps: [{name: a, kind: Detect, max_objects: many}]",
        r"steps\[0\]\.max_objects: Expected `int`, got `str`; got 'many'",
    ),
    "a wrong word": (
        SMALL + "sinks: [{name: a, kind: ImageFolder, directory: x, format: gif}]",
        r"sinks\[0\]\.format: is one of jpeg, .*; got 'gif'",
    ),
    "a wrong type in a list": (
        "source: {kind: Directory, paths: [a, 3]}",
        r"source\.paths: Expected `str`, got `int` - at `\$\[1\]`; got \['a', 3\]",
    ),
    "a value that cannot be": (
        "source: {kind: Video, paths: a.mp4, every: 0}",
        r"source: Video: `every`",
    ),
    "a nested value that cannot be": (
        SMALL + "steps: [{name: a, kind: Prepare, preprocess: {resize: 0}}]",
        r"steps\[0\]\.preprocess: Preprocess: `resize` is in pixels, from 1; got 0",
    ),
    "an unknown nested option": (
        SMALL + "steps: [{name: a, kind: Prepare, preprocess: {resise: 8}}]",
        r"steps\[0\]\.preprocess\.resise: no such option",
    ),
    "an unknown model": (
        SMALL + "steps: [{name: a, kind: Detect, model: nonodet}]",
        r"steps\[0\]\.model: model 'nonodet': neither a file nor a model that ships",
    ),
    "a model that is a number": (
        SMALL + "steps: [{name: a, kind: Detect, model: 3}]",
        r"steps\[0\]\.model: Expected `str`, got `int`",
    ),
    "sources that are no list": (
        "source: {kind: Union, sources: 3}",
        r"source\.sources: must be a list; got 3",
    ),
    "a mistake in a united source": (
        "source: {kind: Union, sources: [{kind: Directory, paths: a}, {kind: Directory, pth: b}]}",
        r"source\.sources\[1\]\.pth: no such option",
    ),
    "steps that are no list": (SMALL + "steps: {a: 1}", r"steps: must be a list; got \{'a': 1\}"),
    "a step without a name": (
        SMALL + "steps: [{kind: Detect}]",
        r"steps\[0\]: must be a mapping with a `name`; got \{'kind': 'Detect'\}",
    ),
    "a sink without a name": (SMALL + "sinks: [JsonLines]", r"sinks\[0\]: .* got 'JsonLines'"),
    "a name that is taken": (
        SMALL + "steps: [{name: a, kind: Prepare}, {name: a, kind: Prepare}]",
        "step 'a' needs a name of its own",
    ),
    "a wrong setting": (
        SMALL + "run: {batch_size: 0}",
        r"run: RunSettings: `batch_size` is a whole number from 1; got 0",
    ),
    "an unknown setting": (SMALL + "run: {thread: 2}", r"run\.thread: no such option"),
    "settings that are no mapping": (SMALL + "run: 2", r"run: must be a mapping; got 2"),
    "bad YAML": ("source: {kind: [", "is no YAML: "),
    "no mapping": ("- 1", "must be a mapping in YAML: Expected `object`, got `array`"),
    "nothing": ("", "must be a mapping in YAML"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_the_file_and_the_place(tmp_path: Path, mistake: str) -> None:
    text, message = MISTAKES[mistake]
    with pytest.raises(PipelineError, match=rf"job\.yaml: {message}"):
        read(tmp_path, text)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PipelineError, match=r"job\.yaml: is no YAML"):
        read_pipeline(tmp_path / "job.yaml")


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"job\.yaml: cannot be read: No such file"):
        read_pipeline(tmp_path / "job.yaml")


def test_blanks_of_a_file_are_filled_in(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(
        'name: "job ${day}"\nsource: {kind: Directory, paths: ["${data}/a", "${data}/b"]}\n'
    )
    pipeline, _ = read_pipeline(path, {"day": "monday", "data": "photos"})
    assert pipeline.name == "job monday"
    assert list(pipeline.source.paths) == ["photos/a", "photos/b"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"`\$\{data\}` needs a value: --data VALUE or --set data=VALUE; there are \[\]"),
        ({"data": "x", "rate": "3"}, r"nothing in it is named \$\{rate\}; there are \['data'\]"),
    ],
)
def test_a_blank_without_a_value_and_a_value_without_a_blank_are_refused(values, message, tmp_path):
    (tmp_path / "job.yaml").write_text('source: {kind: Directory, paths: "${data}"}\n')
    with pytest.raises(PipelineError, match=message):
        read_pipeline(tmp_path / "job.yaml", values)
