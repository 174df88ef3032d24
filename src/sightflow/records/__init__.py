"""What travels through a pipeline, and its one schema."""

from sightflow.records.classification import Classification, Scene
from sightflow.records.detections import Detections
from sightflow.records.event import EVENT_KINDS, Event, Moment
from sightflow.records.faces import Faces
from sightflow.records.image import (
    REASONS,
    Claim,
    EncodedImage,
    ImageRecord,
    Label,
    LabelledObject,
    ModelUse,
    Origin,
    Outcome,
    Rejected,
    Skipped,
    SourceEnd,
)
from sightflow.records.measures import Measures
from sightflow.records.objectclasses import UNKNOWN, ObjectClasses
from sightflow.records.schema import (
    EVENT_SCHEMA,
    REJECTED_SCHEMA,
    RESULT_SCHEMA,
    Row,
    event_row,
    rejected_row,
    result_row,
    to_json,
    to_table,
)
from sightflow.records.table import TableUpdate
from sightflow.records.tracks import Tracks

__all__ = [
    "EVENT_KINDS",
    "EVENT_SCHEMA",
    "REASONS",
    "REJECTED_SCHEMA",
    "RESULT_SCHEMA",
    "UNKNOWN",
    "Claim",
    "Classification",
    "Detections",
    "EncodedImage",
    "Event",
    "Faces",
    "ImageRecord",
    "Label",
    "LabelledObject",
    "Measures",
    "ModelUse",
    "Moment",
    "ObjectClasses",
    "Origin",
    "Outcome",
    "Rejected",
    "Row",
    "Scene",
    "Skipped",
    "SourceEnd",
    "TableUpdate",
    "Tracks",
    "event_row",
    "rejected_row",
    "result_row",
    "to_json",
    "to_table",
]
