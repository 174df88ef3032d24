"""For tests, ours and yours: small records and pictures, and checks that hold for every plug-in."""

from sightflow.testing.builders import (
    a_claim,
    a_context,
    a_record,
    an_origin,
    draw_scene,
    encode_image,
)
from sightflow.testing.controls import check_control
from sightflow.testing.detectors import check_detector
from sightflow.testing.models import check_backend, check_head
from sightflow.testing.networks import check_network
from sightflow.testing.operators import check_operator
from sightflow.testing.sinks import (
    check_continuous_sink,
    check_image_sink,
    check_message_sink,
    check_result_sink,
)
from sightflow.testing.sources import check_labels, check_source, check_stream
from sightflow.testing.stateful import check_keyed_operator, check_learning_operator
from sightflow.testing.tables import check_table

__all__ = [
    "a_claim",
    "a_context",
    "a_record",
    "an_origin",
    "check_backend",
    "check_continuous_sink",
    "check_control",
    "check_detector",
    "check_head",
    "check_image_sink",
    "check_keyed_operator",
    "check_labels",
    "check_learning_operator",
    "check_message_sink",
    "check_network",
    "check_operator",
    "check_result_sink",
    "check_source",
    "check_stream",
    "check_table",
    "draw_scene",
    "encode_image",
]
