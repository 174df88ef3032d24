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
    from sightflow.runners import submit as submit
    from sightflow.settings import RunSettings as RunSettings
    from sightflow.sinks.events import JsonEvents as JsonEvents
    from sightflow.sinks.images import AnnotatedImages as AnnotatedImages
    from sightflow.sinks.images import ImageFolder as ImageFolder
    from sightflow.sinks.results import JsonLines as JsonLines
    from sightflow.sinks.results import Parquet as Parquet
    from sightflow.sinks.table import Csv as Csv
    from sightflow.sinks.video import AnnotatedVideo as AnnotatedVideo
    from sightflow.sources.directory import Directory as Directory
    from sightflow.sources.live import Live as Live
    from sightflow.sources.union import Union as Union
    from sightflow.sources.video import Video as Video
    from sightflow.tasks.classify import Classify as Classify
    from sightflow.tasks.detect import Detect as Detect
    from sightflow.tasks.prepare import Prepare as Prepare
    from sightflow.tasks.track import Track as Track
    from sightflow.tasks.zones import CountLine as CountLine
    from sightflow.tasks.zones import Zone as Zone

_PLACES = {
    "AnnotatedImages": "sightflow.sinks.images",
    "AnnotatedVideo": "sightflow.sinks.video",
    "Classify": "sightflow.tasks.classify",
    "CountLine": "sightflow.tasks.zones",
    "Csv": "sightflow.sinks.table",
    "Detect": "sightflow.tasks.detect",
    "Directory": "sightflow.sources.directory",
    "ImageFolder": "sightflow.sinks.images",
    "JsonEvents": "sightflow.sinks.events",
    "JsonLines": "sightflow.sinks.results",
    "Live": "sightflow.sources.live",
    "ModelFile": "sightflow.models",
    "Outline": "sightflow.ops.overlay",
    "Parquet": "sightflow.sinks.results",
    "Pipeline": "sightflow.pipeline",
    "Prepare": "sightflow.tasks.prepare",
    "Preprocess": "sightflow.ops.preprocess",
    "RunSettings": "sightflow.settings",
    "Track": "sightflow.tasks.track",
    "Union": "sightflow.sources.union",
    "Video": "sightflow.sources.video",
    "Zone": "sightflow.tasks.zones",
    "find_model": "sightflow.models",
    "run": "sightflow.runners",
    "submit": "sightflow.runners",
    "zoo": "sightflow.models",
}

__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    """Load a public name from its place."""
    if name not in _PLACES:
        raise AttributeError(f"module 'sightflow' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)
