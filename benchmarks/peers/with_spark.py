"""PySpark: `mapInPandas` over a DataFrame of paths, and JSON is written."""

from collections.abc import Iterator

import pandas as pd
from pyspark.sql import SparkSession
from recognise import list_pictures, load_once, parse_arguments

SCHEMA = "uri string, class_ids array<int>, labels array<string>, scores array<float>, at double"
PARTITIONS_PER_CORE = 2
"""More let no core wait at the end; each costs a moment. Workers keep their model between them."""


def main() -> None:
    """Run the query to its end."""
    arguments = parse_arguments(__doc__)
    spark = (
        SparkSession.builder.master(f"local[{arguments.workers}]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    settings = (arguments.model, arguments.labels, arguments.batch_size)

    def recognise(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        recogniser = load_once(*settings)
        for frame in frames:
            yield pd.DataFrame(recogniser(frame["uri"].tolist()))

    rows = [(path,) for path in list_pictures(arguments.pictures)]
    paths = spark.createDataFrame(rows, "uri string")
    spread = paths.repartition(PARTITIONS_PER_CORE * arguments.workers)
    spread.mapInPandas(recognise, SCHEMA).write.json(arguments.out)
    spark.stop()


if __name__ == "__main__":
    main()
