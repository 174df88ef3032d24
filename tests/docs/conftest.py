"""A folder like that of a reader: pictures, people, a video, an archive, a model of his own."""

import itertools
import json
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save_model
from tests.docs.pages import ROOT, blocks, modules
from tests.faces import orl_faces
from tests.kafka import Broker
from tests.pictures import draw_video

from sightflow.ops.decode import decode
from sightflow.storage.galleryfile import GalleryFacts, GalleryFile, NewFace
from sightflow.testing import draw_scene, encode_image

KAFKA = "kafka:9092"
"""The broker of the pages."""

PEOPLE = {"ann": 10, "bob": 2, "carl": 3, "dora": 8}
"""Who has a folder, and the number in the ORL faces."""
VISITORS = (10, 2, 5)
"""Ann, Bob, and somebody else."""


def save_constant_model(
    path: Path,
    answer: list,
    *,
    size: tuple[int, int],
    output: str = "output",
    batch: int | str = "B",
) -> Path:
    """Write a model that gives the same answer, one item of the output, for every picture."""
    return save_constant_outputs(path, {output: answer}, size=size, batch=batch)


def save_constant_outputs(
    path: Path,
    answers: Mapping[str, list],
    *,
    size: tuple[int, int],
    name: str = "images",
    batch: int | str = "B",
) -> Path:
    """Write a model that gives the same answers, one item of each output, for every picture."""
    values = {output: np.array([answer], np.float32) for output, answer in answers.items()}
    shapes = {output: [-1, *[1] * (value.ndim - 1)] for output, value in values.items()}
    nodes = [
        helper.make_node("ReduceMean", [name], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["zeros"]),
    ]
    for output in values:
        column = [f"column of {output}"]
        nodes.append(helper.make_node("Reshape", ["zeros", f"shape of {output}"], column))
        nodes.append(helper.make_node("Add", [*column, f"answer of {output}"], [output]))
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 3, *size])],
        [
            helper.make_tensor_value_info(output, TensorProto.FLOAT, ["B", *_axes(value)])
            for output, value in values.items()
        ],
        [
            numpy_helper.from_array(np.zeros(1, np.float32), "zero"),
            *(
                numpy_helper.from_array(np.array(shape, np.int64), f"shape of {output}")
                for output, shape in shapes.items()
            ),
            *(
                numpy_helper.from_array(value, f"answer of {output}")
                for output, value in values.items()
            ),
        ],
    )
    opset = helper.make_opsetid("", 17)
    save_model(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
    return path


def _axes(value: np.ndarray) -> list:
    return [value.shape[1], "k"] if value.ndim == 3 else [value.shape[1]]


def _save_people(folder: Path) -> None:
    """Save pictures of people, one who is enrolled, and pairs to compare."""
    for name, number in PEOPLE.items():
        for picture in orl_faces(number, (1, 2, 3)):
            _save_as_jpeg(picture, folder / "people" / name / f"{picture.stem}.jpg")
    for i, number in enumerate(VISITORS):
        for picture in orl_faces(number, (9,)):
            _save_as_jpeg(picture, folder / "visitors" / f"{i}.jpg")
    (folder / "pairs.csv").write_text("file_a,file_b\nann/1.jpg,ann/2.jpg\nann/1.jpg,bob/1.jpg\n")
    unlike_all = np.eye(1, 192, dtype=np.float32)[0]
    facts = GalleryFacts("mobilefacenet", "1", 192)
    GalleryFile(folder / "staff").enrol([NewFace("eve", unlike_all, "eve.jpg")], facts)


def _save_as_jpeg(picture: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_image(decode(picture.read_bytes()).pixels))


def _save_results(path: Path) -> None:
    """Write what a detector said of the photos, one of which it rejected."""
    box = {"label": "person", "class_id": 0, "score": 0.5, "box_xyxy": [40, 60, 140, 200]}
    use = {"step": "detect", "model": "nanodet", "model_version": "1"}
    size = {"event_time_ms": 0, "width": 320, "height": 240}
    rows = [
        {"uri": f"photos/{i:04d}.jpg", "source_id": "photos/", "sequence": i, **size, **use}
        for i in (0, 1)
    ]
    rows = [{**row, "detections": [box]} for row in rows]
    bad = {"uri": "photos/0002.jpg", "step": "read", "reason": "unreadable", "message": "gone"}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    path.with_suffix(".rejected.jsonl").write_text(json.dumps(bad) + "\n")


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("reader")
    (folder / "photos").mkdir()
    for i in range(3):
        scene = draw_scene(boxes=[(40 + 20 * i, 60, 140 + 20 * i, 200)])
        (folder / "photos" / f"{i:04d}.jpg").write_bytes(encode_image(scene))
    for part, label, i in itertools.product(("train", "test"), ("ants", "bees"), range(6)):
        path = folder / "lessons" / part / label / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        wide = 60 if label == "ants" else 200
        path.write_bytes(encode_image(draw_scene(boxes=[(20 + i, 60, 20 + i + wide, 200)])))
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        archive.write(folder / "photos" / "0000.jpg", "monday/0000.jpg")
    draw_video(folder / "clip.mp4", 60)
    _save_people(folder)
    _save_results(folder / "night.jsonl")
    (folder / "list.txt").write_text("".join(f"photos/{i:04d}.jpg\n" for i in range(3)))
    # one gate in the middle of the input: cx, cy, w, h, gate, fence
    answer = [[320], [320], [320], [160], [0.9], [0.1]]
    save_constant_model(folder / "my.onnx", answer, size=(640, 640), output="output0")
    return folder


@pytest.fixture
def place(drawn, tmp_path, monkeypatch) -> Iterator[Path]:
    """Give a fresh copy of the reader's folder, as working directory and in front of `sys.path`."""
    folder = tmp_path / "place"
    shutil.copytree(drawn, folder)
    for path in (ROOT / "examples").glob("*.yaml"):
        (folder / "examples").mkdir(exist_ok=True)
        shutil.copy(path, folder / "examples")
    own = next(b for b in _yaml_of(ROOT / "docs/how-to/own-model.md"))
    (folder / "my.yaml").write_text(own)
    pipeline = next(b for b in _yaml_of(ROOT / "docs/reference/pipelines.md"))
    (folder / "pipeline.yaml").write_text(pipeline)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and name.startswith("my_"):
            del sys.modules[name]


@pytest.fixture(scope="session")
def kafka(request, drawn) -> Callable[[], Broker]:
    """Return a function that returns the reader's broker, with topics and pictures in one."""
    found: list[Broker] = []

    def get() -> Broker:
        if not found:
            found.append(request.getfixturevalue("broker"))
            for topic in ("pictures", "results", "events", "rejected"):
                found[0].create_exactly(topic)
            photos = sorted((drawn / "photos").iterdir())
            records = ({"key": "gate", "value": photo.read_bytes()} for photo in photos)
            found[0].produce("pictures", records)
        return found[0]

    return get


@pytest.fixture
def served(kafka) -> Callable[[str], str]:
    """Return a function that puts the address of the reader's broker in place of the page's."""

    def serve(text: str) -> str:
        return text.replace(KAFKA, kafka().servers) if KAFKA in text else text

    return serve


@pytest.fixture
def save_modules(place) -> Callable[[Path], None]:
    """Return a function that writes the files that a page shows."""

    def save(page: Path) -> None:
        for block in modules(page):
            (place / f"{block.module}.py").write_text(block.text)

    return save


def _yaml_of(page: Path) -> Iterator[str]:
    return (block.text for block in blocks("yaml", page))
