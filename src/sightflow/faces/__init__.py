"""What commands about faces do: describe many pictures, compare, enrol, calibrate."""

from sightflow.faces.calibrating import Calibration, calibrate, write_calibration
from sightflow.faces.comparing import Comparison, compare, read_pairs, write_comparisons
from sightflow.faces.describing import DescribedFace, FaceModels, describe
from sightflow.faces.enrolling import Enrolment, enrol, uri_of

__all__ = [
    "Calibration",
    "Comparison",
    "DescribedFace",
    "Enrolment",
    "FaceModels",
    "calibrate",
    "compare",
    "describe",
    "enrol",
    "read_pairs",
    "uri_of",
    "write_calibration",
    "write_comparisons",
]
