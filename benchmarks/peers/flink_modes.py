"""Ways to bring a network into PyFlink: the same work, in chunks of paths, in each mode.

`thread`: a map over chunks, Python inside the Java process.
`process`: the same map in worker processes.
`async`: an AsyncFunction in worker processes; a thread for each core recognises.
`pandas`: a vectorised function of the Table API, in worker processes.
"""

import argparse
import asyncio
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
from pyflink.common import Configuration, Encoder, Row, Time, Types
from pyflink.datastream import AsyncDataStream, DataStream, StreamExecutionEnvironment
from pyflink.datastream.connectors.file_system import FileSink
from pyflink.datastream.functions import AsyncFunction, MapFunction, RuntimeContext
from pyflink.table import DataTypes, StreamTableEnvironment
from pyflink.table.expressions import col
from pyflink.table.udf import udf
from recognise import list_pictures, load_once

PATHS_IN_RECORD = 16
MODES = ("thread", "process", "async", "pandas")


def recognise(paths: str, arguments: argparse.Namespace) -> str:
    """Recognise a chunk of paths, a JSON list; return a line of JSON for each."""
    recogniser = load_once(str(arguments.model), str(arguments.labels), arguments.batch_size)
    return "\n".join(json.dumps(row) for row in recogniser(json.loads(paths)))


class Chunk(MapFunction):  # type: ignore[misc]
    """Recognises a chunk."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        """Keep what the model is loaded with."""
        self._arguments = arguments

    def map(self, value: str) -> str:
        """Recognise a chunk."""
        return recognise(value, self._arguments)


class AsyncChunk(AsyncFunction):  # type: ignore[misc]
    """Recognises chunks in threads."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        """Keep what the model is loaded with."""
        self._arguments = arguments

    def open(self, runtime_context: RuntimeContext) -> None:
        """Start the threads: one, since there is a worker process for each core."""
        self._pool = ThreadPoolExecutor(1)

    async def async_invoke(self, value: str) -> list[str]:
        """Recognise a chunk."""
        loop = asyncio.get_running_loop()
        return [await loop.run_in_executor(self._pool, recognise, value, self._arguments)]


def with_pandas(
    env: StreamExecutionEnvironment, chunks: DataStream, arguments: argparse.Namespace
) -> DataStream:
    """Recognise chunks with a vectorised function."""
    tables = StreamTableEnvironment.create(env)
    column = DataTypes.STRING()

    def recognise_all(values: pd.Series) -> pd.Series:
        return values.map(lambda value: recognise(value, arguments))

    function = udf(recognise_all, input_types=[column], result_type=column, func_type="pandas")
    rows = chunks.map(lambda chunk: Row(chunk), Types.ROW_NAMED(["chunk"], [Types.STRING()]))
    table = tables.from_data_stream(rows).select(function(col("chunk")).alias("lines"))
    return tables.to_data_stream(table).map(lambda row: row[0], Types.STRING())


def parse() -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("pictures", "model", "labels", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--mode", choices=MODES, required=True)
    return parser.parse_args()


def main() -> None:
    """Build the job and run it to its end."""
    arguments = parse()
    os.environ["_python_worker_execution_mode"] = "process"  # noqa: SIM112
    configuration = Configuration()
    for key, value in {
        "python.execution-mode": "thread" if arguments.mode == "thread" else "process",
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "python.fn-execution.bundle.size": "4",
        "python.fn-execution.bundle.time": "100",
        "python.fn-execution.arrow.batch.size": "1",
    }.items():
        configuration.set_string(key, value)
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_parallelism(arguments.workers)
    paths = list_pictures(str(arguments.pictures))
    starts = range(0, len(paths), PATHS_IN_RECORD)
    chunks = [json.dumps(paths[start : start + PATHS_IN_RECORD]) for start in starts]
    stream = env.from_collection(chunks, Types.STRING()).rebalance()
    if arguments.mode == "async":
        lines = AsyncDataStream.unordered_wait(
            stream, AsyncChunk(arguments), Time.milliseconds(0), 4, Types.STRING()
        )
    elif arguments.mode == "pandas":
        lines = with_pandas(env, stream, arguments)
    else:
        lines = stream.map(Chunk(arguments), Types.STRING())
    encoder = Encoder.simple_string_encoder()
    lines.sink_to(FileSink.for_row_format(str(arguments.out), encoder).build())
    env.execute(f"chunks, {arguments.mode}")


if __name__ == "__main__":
    main()
