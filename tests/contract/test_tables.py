"""Every registered table keeps its promises. A new table needs an example here."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.faces import copy_people

from sightflow.kinds import known_kinds, resolve_kind
from sightflow.protocols import TableSource
from sightflow.storage.galleryfile import GalleryFacts, GalleryFile, NewFace
from sightflow.tasks.enrolments import Enrolments
from sightflow.tasks.gallery import Gallery
from sightflow.testing import check_table

AT_LEAST = 2


def a_gallery(folder: Path) -> Gallery:
    """Return a gallery of some hundred people, of whom one was forgotten."""
    file, facts = GalleryFile(folder / "gallery"), GalleryFacts("net", "1", 4)
    faces = np.random.default_rng(0).standard_normal((1_200, 4)).astype(np.float32)
    faces /= np.linalg.norm(faces, axis=1, keepdims=True)
    file.enrol([NewFace(f"person {i}", face, f"{i}.jpg") for i, face in enumerate(faces)], facts)
    file.forget("person 7")
    return Gallery(str(file.folder))


def some_enrolments(folder: Path) -> Enrolments:
    """Return enrolments of two people, of whom one is forgotten, and one of nobody."""
    copy_people(folder, {"ann": 1, "bob": 2}, [1])
    lines = [{"enrol": name, "picture": f"{name}/1.pgm"} for name in ("ann", "bob", "nobody")]
    lines.append({"forget": "ann"})
    (folder / "enrolments.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Enrolments(str(folder / "enrolments.jsonl"))


EXAMPLES: dict[str, Callable[[Path], TableSource]] = {
    "Enrolments": some_enrolments,
    "Gallery": a_gallery,
}


def test_the_tables_were_found_and_each_has_an_example() -> None:
    assert len(EXAMPLES) >= AT_LEAST
    assert set(known_kinds("tables")) == set(EXAMPLES)


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_it_keeps_the_promises_of_a_table(kind: str, tmp_path: Path) -> None:
    source = EXAMPLES[kind](tmp_path)
    assert type(source) is resolve_kind("tables", kind)
    assert isinstance(source, TableSource)
    assert check_table(source)
