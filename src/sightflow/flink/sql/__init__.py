"""SQL: functions that look at pictures, tables of results, and a session that runs statements."""

from sightflow.flink.sql.looking import FaceSteps
from sightflow.flink.sql.registering import register
from sightflow.flink.sql.session import Session, open_environment
from sightflow.flink.sql.tables import add_pictures, add_table, add_topic

__all__ = [
    "FaceSteps",
    "Session",
    "add_pictures",
    "add_table",
    "add_topic",
    "open_environment",
    "register",
]
