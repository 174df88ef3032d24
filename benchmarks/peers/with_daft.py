"""Daft: a class as UDF, in a process for each core, and JSON is written.

It leaves without Python's own ending, in which Daft 0.7.26 sometimes aborts after the work is done.
"""

import os
from typing import Any

import daft
from daft import DataType
from recognise import Recogniser, Row, list_pictures, parse_arguments

N_PATHS = 64
"""Paths in one call; the model gets them in smaller batches."""

RESULT = DataType.struct(
    {
        "class_ids": DataType.list(DataType.int32()),
        "labels": DataType.list(DataType.string()),
        "scores": DataType.list(DataType.float32()),
        "at": DataType.float64(),
    }
)


class Recognise:
    """What each process runs."""

    def __init__(self, model: str, labels: str, batch_size: int) -> None:
        """Load the model once."""
        self._recognise = Recogniser(model, labels, batch_size)

    @daft.method.batch(return_dtype=RESULT, unnest=True, batch_size=N_PATHS)
    def recognise(self, paths: Any) -> list[Row]:
        """Return a struct for each path."""
        return self._recognise(paths.to_pylist())


def main() -> None:
    """Run the query to its end."""
    arguments = parse_arguments(__doc__)
    udf = daft.cls(Recognise, max_concurrency=arguments.workers, use_process=True)
    recogniser = udf(arguments.model, arguments.labels, arguments.batch_size)
    paths = daft.from_pydict({"uri": list_pictures(arguments.pictures)})
    paths.select(paths["uri"], recogniser.recognise(paths["uri"])).write_json(arguments.out)
    os._exit(0)


if __name__ == "__main__":
    main()
