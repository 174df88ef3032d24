"""Register the functions of SQL in a table environment."""

from collections.abc import Mapping
from typing import Any

from pyflink.table import TableEnvironment
from pyflink.table.udf import ScalarFunction, udf

from sightflow.flink.sql.functions import CheckFile, CompareFaces, LookAt, ReadImage
from sightflow.flink.sql.looking import (
    FaceSteps,
    best_class,
    embedding,
    objects,
    pipeline_of,
    problem,
    size,
)
from sightflow.settings import RunSettings
from sightflow.tasks.classify import Classify
from sightflow.tasks.detect import Detect

__all__ = ["FUNCTIONS", "register"]

_CLASS = (
    "ROW<label STRING, class_id INT, score FLOAT, top_labels ARRAY<STRING>, "
    "top_scores ARRAY<FLOAT>>"
)
_OBJECT = "ROW<label STRING, class_id INT, score FLOAT, x1 FLOAT, y1 FLOAT, x2 FLOAT, y2 FLOAT>"
_PROBLEM = "ROW<reason STRING, message STRING>"

FUNCTIONS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "READ_IMAGE": (("STRING",), "BYTES"),
    "CLASSIFY_IMAGE": (("BYTES",), _CLASS),
    "DETECT_OBJECTS": (("BYTES",), f"MAP<INT, {_OBJECT}>"),
    "FACE_EMBEDDING": (("BYTES",), "ARRAY<FLOAT>"),
    "FACE_SIMILARITY": (("ARRAY<FLOAT>", "ARRAY<FLOAT>"), "FLOAT"),
    "DECODE_SIZE": (("BYTES",), "ROW<width INT, height INT>"),
    "CHECK_IMAGE": (("BYTES",), _PROBLEM),
    "CHECK_FILE": (("STRING",), _PROBLEM),
}
"""The functions: types of their arguments, and of what they return."""

_BATCHES: Mapping[str, str] = {
    "python.fn-execution.arrow.batch.size": "16",
    "python.fn-execution.bundle.size": "64",
    "python.fn-execution.bundle.time": "100",
}
"""How many rows come to Python at once, where nothing else is set: a picture may have a megabyte. A
bundle that is not full is sent after twice its time in milliseconds."""


def register(
    table_env: TableEnvironment,
    *,
    classify: Classify | None = None,
    detect: Detect | None = None,
    faces: FaceSteps | None = None,
    settings: RunSettings | None = None,
) -> None:
    """Register the functions of SQL: `CLASSIFY_IMAGE`, `DETECT_OBJECTS` and the others.

    The steps are those of pipelines, with their options; the models are loaded once in each
    process that works, when a query first needs them.

    Args:
        table_env: of a job in batch or streaming mode.
        classify: the step of `CLASSIFY_IMAGE`; None: as it is by default.
        detect: that of `DETECT_OBJECTS`.
        faces: those of `FACE_EMBEDDING`.
        settings: device, threads, size of batches, largest picture; None: as by default.

    Raises:
        SightflowError: a step cannot work as it is configured.
    """
    for steps in (
        _named("classify", classify),
        _named("detect", detect),
        faces.named if faces else (),
    ):
        pipeline_of(steps).check()  # what is there by default is known to work
    settings = settings or RunSettings()
    inference = settings.inference(settings.n_workers)
    looks = {
        "CLASSIFY_IMAGE": ((("classify", classify or Classify()),), best_class),
        "DETECT_OBJECTS": ((("detect", detect or Detect()),), objects),
        "FACE_EMBEDDING": ((faces or FaceSteps()).named, embedding),
        "DECODE_SIZE": ((), size),
        "CHECK_IMAGE": ((), problem),
    }
    made: dict[str, ScalarFunction] = {
        "READ_IMAGE": ReadImage(),
        "CHECK_FILE": CheckFile((), problem, settings, inference),
        "FACE_SIMILARITY": CompareFaces(),
    }
    for name, (steps, answer) in looks.items():
        made[name] = LookAt(steps, answer, settings, inference)
    _set_batches(table_env)
    for name, function in made.items():
        arguments, result = FUNCTIONS[name]
        wrapped = udf(
            function, input_types=list(arguments), result_type=result, func_type="pandas", name=name
        )
        table_env.create_temporary_system_function(name, wrapped)


def _named(name: str, step: Classify | Detect | None) -> tuple[tuple[str, Any], ...]:
    return () if step is None else ((name, step),)


def _set_batches(table_env: TableEnvironment) -> None:
    config = table_env.get_config()
    for key, value in _BATCHES.items():
        if not config.get_configuration().contains_key(key):
            config.set(key, value)
