"""Ray Data: an actor for each core recognises batches of paths.

The driver writes the rows as they come: `write_json` would start more processes of Ray for it,
which takes some 10 s on two cores.
"""

import json
import logging
from typing import Any

import numpy as np
import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext
from recognise import Recogniser, list_pictures, parse_arguments

N_PATHS = 64
"""Paths in one call of an actor; the model gets them in smaller batches."""


class Recognise:
    """What an actor runs."""

    def __init__(self, model: str, labels: str, batch_size: int) -> None:
        """Load the model once."""
        self._recognise = Recogniser(model, labels, batch_size)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return columns for the paths in the column `item`."""
        rows = self._recognise(batch["item"].tolist())
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def main() -> None:
    """Run the pipeline to its end."""
    arguments = parse_arguments(__doc__)
    ray.init(num_cpus=arguments.workers, include_dashboard=False, logging_level=logging.WARNING)
    DataContext.get_current().enable_progress_bars = False
    paths = list_pictures(arguments.pictures)
    rows = ray.data.from_items(paths, override_num_blocks=-(-len(paths) // N_PATHS)).map_batches(
        Recognise,
        fn_constructor_args=(arguments.model, arguments.labels, arguments.batch_size),
        batch_size=N_PATHS,
        num_cpus=1,
        compute=ActorPoolStrategy(size=arguments.workers),
    )
    with open(arguments.out, "w") as file:
        for row in rows.iter_rows():
            row = {
                name: getattr(value, "tolist", lambda v=value: v)() for name, value in row.items()
            }
            file.write(json.dumps(row) + "\n")
    ray.shutdown()


if __name__ == "__main__":
    main()
