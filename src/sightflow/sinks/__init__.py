"""Sinks: where results and pictures go. Output appears complete or not at all."""

from sightflow.sinks.events import JsonEvents
from sightflow.sinks.images import AnnotatedImages, ImageFolder
from sightflow.sinks.motchallenge import MotTracks
from sightflow.sinks.results import JsonLines, Parquet

__all__ = ["AnnotatedImages", "ImageFolder", "JsonEvents", "JsonLines", "MotTracks", "Parquet"]
