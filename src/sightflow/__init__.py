"""Sightflow: a pipeline is a list of named steps over image records, compiled into a Flink job.

Importing this package loads neither pyflink nor onnxruntime; names are loaded when first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sightflow.models import ModelFile as ModelFile
    from sightflow.models import find_model as find_model
    from sightflow.models import zoo as zoo
    from sightflow.ops.overlay import Outline as Outline
    from sightflow.ops.preprocess import Preprocess as Preprocess
    from sightflow.pipeline import Pipeline as Pipeline
    from sightflow.runners import run as run
    from sightflow.settings import RunSettings as RunSettings
    from sightflow.sinks import AnnotatedImages as AnnotatedImages
    from sightflow.sinks import ImageFolder as ImageFolder
    from sightflow.sinks import JsonEvents as JsonEvents
    from sightflow.sinks import JsonLines as JsonLines
    from sightflow.sinks import Parquet as Parquet
    from sightflow.sinks.video import AnnotatedVideo as AnnotatedVideo
    from sightflow.sources import Directory as Directory
    from sightflow.sources import Union as Union
    from sightflow.sources.live import Live as Live
    from sightflow.sources.video import Video as Video
    from sightflow.tasks import Classify as Classify
    from sightflow.tasks import Detect as Detect
    from sightflow.tasks import Prepare as Prepare
    from sightflow.tasks.track import Track as Track
    from sightflow.tasks.zones import CountLine as CountLine
    from sightflow.tasks.zones import Zone as Zone

_PLACES = {
    "AnnotatedImages": "sightflow.sinks",
    "AnnotatedVideo": "sightflow.sinks.video",
    "Classify": "sightflow.tasks",
    "CountLine": "sightflow.tasks.zones",
    "Detect": "sightflow.tasks",
    "Directory": "sightflow.sources",
    "ImageFolder": "sightflow.sinks",
    "JsonEvents": "sightflow.sinks",
    "JsonLines": "sightflow.sinks",
    "Live": "sightflow.sources.live",
    "ModelFile": "sightflow.models",
    "Outline": "sightflow.ops.overlay",
    "Parquet": "sightflow.sinks",
    "Pipeline": "sightflow.pipeline",
    "Prepare": "sightflow.tasks",
    "Preprocess": "sightflow.ops.preprocess",
    "RunSettings": "sightflow.settings",
    "Track": "sightflow.tasks.track",
    "Union": "sightflow.sources",
    "Video": "sightflow.sources.video",
    "Zone": "sightflow.tasks.zones",
    "find_model": "sightflow.models",
    "run": "sightflow.runners",
    "zoo": "sightflow.models",
}

__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    """Load a public name from its place."""
    if name not in _PLACES:
        raise AttributeError(f"module 'sightflow' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)
