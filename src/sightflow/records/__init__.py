"""What travels through a pipeline, and its one schema."""

from sightflow.records.classification import Classification, Scene
from sightflow.records.detections import Detections
from sightflow.records.image import (
    REASONS,
    Claim,
    EncodedImage,
    ImageRecord,
    ModelUse,
    Origin,
    Rejected,
)
from sightflow.records.schema import (
    REJECTED_SCHEMA,
    RESULT_SCHEMA,
    Row,
    rejected_row,
    result_row,
    to_json,
)

__all__ = [
    "REASONS",
    "REJECTED_SCHEMA",
    "RESULT_SCHEMA",
    "Claim",
    "Classification",
    "Detections",
    "EncodedImage",
    "ImageRecord",
    "ModelUse",
    "Origin",
    "Rejected",
    "Row",
    "Scene",
    "rejected_row",
    "result_row",
    "to_json",
]
