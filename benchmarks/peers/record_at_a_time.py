"""PyFlink as one writes it first: a map for each thing to do, one picture at a time.

Process mode, default settings, arrays between the maps, a file sink. Local PyFlink runs its workers
as threads of one process unless `_python_worker_execution_mode` says otherwise; a cluster does not.

Flink chains the maps, so arrays stay in a worker. With `--spread` the prepared arrays are dealt out
to the workers that infer, as when the two have their own parallelism, or a key lies between them.
"""

import json
import os
import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt
from pyflink.common import Configuration, Encoder, Types
from pyflink.datastream import MapFunction, RuntimeContext, StreamExecutionEnvironment
from pyflink.datastream.connectors.file_system import FileSink
from recognise import (
    CROP,
    best,
    crop,
    decode_simplejpeg,
    fill,
    list_pictures,
    make_row,
    normalise,
    open_session,
    parse_arguments,
    read,
    read_labels,
)

Array = npt.NDArray[Any]


def decode(path: str) -> tuple[str, Array]:
    """Read and decode: (path, uint8 [H, W, 3])."""
    return path, decode_simplejpeg(read(path))


def prepare(record: tuple[str, Array]) -> tuple[str, Array]:
    """Scale, crop and normalise: (path, float32 [1, 3, 224, 224])."""
    path, pixels = record
    batch = np.empty((1, 3, CROP, CROP), np.float32)
    fill(batch[0], crop(pixels))
    normalise(batch)
    return path, batch


class Infer(MapFunction):  # type: ignore[misc]
    """Run the model: (path, float32 [1, classes], time)."""

    def __init__(self, model: str) -> None:
        """Keep the path; the model is loaded in the worker."""
        self._model = model

    def open(self, runtime_context: RuntimeContext) -> None:
        """Load the model."""
        self._session = open_session(self._model)

    def map(self, value: tuple[str, Array]) -> tuple[str, Array, float]:
        """Run it on one picture."""
        path, batch = value
        (probabilities,) = self._session.run(["prob"], {"input": batch})
        return path, probabilities, time.time()


class ToJson(MapFunction):  # type: ignore[misc]
    """Write the best five as a line of JSON."""

    def __init__(self, labels: str) -> None:
        """Read the names of the classes."""
        self._labels = read_labels(labels)

    def map(self, value: tuple[str, Array, float]) -> str:
        """Return the line of one picture."""
        path, probabilities, at = value
        ids = best(probabilities)[0]
        return json.dumps(make_row(path, self._labels, ids, probabilities[0][ids], at))


def main() -> None:
    """Build the job and run it to its end."""
    arguments = parse_arguments(__doc__, "--spread")
    os.environ["_python_worker_execution_mode"] = "process"  # noqa: SIM112
    configuration = Configuration()
    configuration.set_string("python.executable", sys.executable)
    configuration.set_string("python.client.executable", sys.executable)
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_parallelism(arguments.workers)
    sink = FileSink.for_row_format(arguments.out, Encoder.simple_string_encoder()).build()
    paths = env.from_collection(list_pictures(arguments.pictures), Types.STRING())
    prepared = paths.map(decode).map(prepare)
    if arguments.spread:
        prepared = prepared.rebalance()
    (
        prepared.map(Infer(arguments.model))
        .map(ToJson(arguments.labels), Types.STRING())
        .sink_to(sink)
    )
    env.execute("record at a time")


if __name__ == "__main__":
    main()
