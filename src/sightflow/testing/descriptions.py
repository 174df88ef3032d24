"""What holds for every plug-in: it is frozen data that travels to workers and through YAML."""

import pickle
import tempfile
from collections.abc import Callable
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from sightflow.configuration import read_pipeline, to_yaml
from sightflow.pipeline import Pipeline

__all__ = ["check_description", "sent"]

Part = TypeVar("Part")


def check_description(part: Any, in_pipeline: Callable[[Any], Pipeline]) -> None:
    """Raise AssertionError unless a plug-in is a frozen dataclass, picklable, and writable as YAML.

    Args:
        part: the plug-in.
        in_pipeline: returns a pipeline with it.
    """
    assert is_dataclass(type(part)), f"{part!r} must be a dataclass"
    frozen = part.__dataclass_params__.frozen
    assert frozen, f"{part!r} must be frozen"
    assert sent(part) == part, f"{part!r} must survive pickling"
    pipeline = in_pipeline(part)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pipeline.yaml")
        path.write_text(to_yaml(pipeline), "utf-8")
        assert read_pipeline(path)[0] == pipeline, f"{part!r} must survive the way through YAML"


def sent(part: Part) -> Part:
    """Return a plug-in as it arrives in a worker, which shares no memory with who described it."""
    copy: Part = pickle.loads(pickle.dumps(part))
    return copy
