"""A quick start: Java and the Python inside it get ready while the client checks and lists."""

import base64
import threading
from concurrent.futures import Future
from contextlib import suppress

import cloudpickle

from sightflow.flink.gateway import run_in_worker, start_gateway
from sightflow.flink.java import find_java_home
from sightflow.pipeline import Pipeline
from sightflow.protocols import Inference

__all__ = ["start"]

_PREPARE = """
import sys
if "apache_beam" not in sys.modules:
    sys.modules["apache_beam"] = None
    try:
        import pyflink.fn_execution
    finally:
        del sys.modules["apache_beam"]
import base64, cloudpickle, pyflink.fn_execution.embedded.operation_utils
from sightflow.flink.recognise import preload
preload(*cloudpickle.loads(base64.b64decode("{arguments}")))
"""
"""Flink's package tries to import Beam and goes on without. Thread mode does not use it, and it
takes two seconds: longer than all the rest."""


def start(pipeline: Pipeline, inference: Inference) -> "Future[None]":
    """Start Java and load the pipeline's models into it, beside what the caller does.

    Returns:
        A future that is done, or holds the `SetupError`, when Java is up; loading goes on.

    Raises:
        SetupError: there is no Java.
    """
    find_java_home()
    for thread in _threads:  # of an earlier run, which may have ended before it was done
        thread.join()
    up: Future[None] = Future()

    def get_ready() -> None:
        try:
            start_gateway()
        except BaseException as error:
            up.set_exception(error)
            return
        up.set_result(None)
        with suppress(Exception):  # the job and its workers meet the same error and report it
            arguments = base64.b64encode(cloudpickle.dumps((pipeline, inference))).decode()
            run_in_worker(_PREPARE.format(arguments=arguments))

    _threads[:] = [threading.Thread(target=get_ready, name="sightflow-start")]
    _threads[0].start()
    return up


_threads: list[threading.Thread] = []
"""The one that gets ready, or did. Python ends after it, so that it can end Java."""
