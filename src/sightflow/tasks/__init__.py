"""Tasks: preprocessing, a model and the reading of its outputs, for one kind of recognition."""

from sightflow.tasks.classify import Classify
from sightflow.tasks.detect import Detect
from sightflow.tasks.prepare import Prepare

__all__ = ["Classify", "Detect", "Prepare"]
