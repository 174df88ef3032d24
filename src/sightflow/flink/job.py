"""A pipeline as the graph of a Flink job."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyflink.common import TypeInformation, Types, WatermarkStrategy
from pyflink.datastream import DataStream, KeyedStream, StreamExecutionEnvironment
from pyflink.datastream.connectors.base import Sink, Source
from pyflink.datastream.data_stream import _create_j_data_stream_python_function_info
from pyflink.fn_execution.flink_fn_execution_pb2 import UserDefinedDataStreamFunction
from pyflink.java_gateway import get_gateway
from pyflink.util.java_utils import get_j_env_configuration

from sightflow.engine.chunks import Recognised
from sightflow.engine.upgrade import History, digest
from sightflow.flink.connectors import connector_of
from sightflow.flink.deliver import Deliver
from sightflow.flink.environment import MAX_PARALLELISM, TICK_S, local_environment
from sightflow.flink.jars import find_jar
from sightflow.flink.read import ReadStream
from sightflow.flink.recognise import RecogniseChunk, RecogniseFrame, RecogniseReceived
from sightflow.flink.remember import Remember, stream_of
from sightflow.flink.runfiles import RunFiles
from sightflow.flink.tables import KeepTable, TellTable, news_from
from sightflow.pipeline import Pipeline
from sightflow.protocols import ConnectorSource, Inference, MessageSink, StreamSource
from sightflow.settings import RunSettings

__all__ = ["Job"]

_CHUNKS_IN_RANGE = 4
"""A worker gets so many chunks at a time: each request costs several threads a switch."""


@dataclass(frozen=True)
class Job:
    """A pipeline, how it is run, and the folder for what the run needs."""

    pipeline: Pipeline
    settings: RunSettings
    inference: Inference
    workers: int
    files: RunFiles
    history: History
    """Of the run: the same for all its attempts with this pipeline."""
    tells_events: bool
    """Whether the client wants to hear of events as they are delivered."""
    is_together: bool = True
    """Whether all workers are in one process, and can count what is on its way to them."""

    @property
    def is_ticking(self) -> bool:
        """Whether its source is read by Python at the beat of a clock."""
        source = self.pipeline.source
        return isinstance(source, StreamSource) and not isinstance(source, ConnectorSource)

    @property
    def has_clocks(self) -> bool:
        """Whether something in it is read at the beat of a clock, which never ends by itself."""
        return self.is_ticking or bool(self.pipeline.tables)

    @property
    def uses_connectors(self) -> bool:
        """Whether it reads from, or writes to, systems that hear of its last checkpoint."""
        return bool(self._connected)

    @property
    def _connected(self) -> list[ConnectorSource | MessageSink]:
        """The parts of the pipeline that are connectors of Flink."""
        source = self.pipeline.source
        sources = [source] if isinstance(source, ConnectorSource) else []
        return [*sources, *(sink for _, sink in self.pipeline.message_sinks)]

    def build(self, n_chunks: int | None, snapshot: Path | None) -> StreamExecutionEnvironment:
        """Return an environment with the job: read -> recognise -> remember -> deliver.

        Each of these boxes is a file of this room. Recognition is parallel by chunk, keyed steps
        are parallel by stream. It goes on from a checkpoint or savepoint, whatever the number of
        workers was.
        """
        env = local_environment(self.settings, self.files, self.workers, snapshot)
        self.put_into(env, n_chunks)
        return env

    def put_into(self, env: StreamExecutionEnvironment, n_chunks: int | None) -> None:
        """Make the graph of the job in an environment, and give it the jars that it needs."""
        jars = [find_jar(jar) for part in self._connected for jar in connector_of(part).jars]
        env.add_jars(*(jar.as_uri() for jar in dict.fromkeys(jars)))
        description = self.pipeline, self.settings, self.inference, self.files
        source = self.pipeline.source
        if isinstance(source, ConnectorSource):
            received = self._received(env, source)
            results = received.map(RecogniseReceived(*description), _bytes())
        elif isinstance(source, StreamSource):
            n_counted = self.workers if self.is_together else None
            frames = self._frames(env, ReadStream(self.pipeline, self.files, n_counted))
            results = frames.map(RecogniseFrame(*description), _bytes())
        else:
            chunks = self._chunks(env, n_chunks or 0)
            results = chunks.map(RecogniseChunk(*description), _bytes())
        results.name("recognise").uid("recognise")
        if self.pipeline.has_state:
            key_of = stream_of if self.pipeline.n_trainers == 1 else self._trainer_key()
            remember = Remember(*description, self.history, n_chunks)
            by_stream = results.key_by(key_of, Types.STRING())
            results = _signalled(by_stream, remember, "remember", Remember.STATE)
            if self.pipeline.n_trainers > 1:
                results.set_parallelism(self.pipeline.n_trainers)
        for news in self._tables(env):
            results = results.union(news)
        described = self.pipeline, self.settings, n_chunks, self.files, self.history
        deliver = Deliver(*described, tells_events=self.tells_events)
        in_one_place = results.key_by(_one_key, Types.INT())
        delivered = _signalled(in_one_place, deliver, "deliver", Deliver.STATE, commits=True)
        delivered.set_parallelism(1)
        for number, (name, sink) in enumerate(self.pipeline.message_sinks):
            prefix = f"sightflow-{self.pipeline.name}-{name}"
            sent = connector_of(sink).sink(sink, number=number, prefix=prefix)
            delivered.sink_to(Sink(sent)).name(name).uid(
                f"sink {self.history.key_of(name)}"
            ).set_parallelism(1)

    def _tables(self, env: StreamExecutionEnvironment) -> Iterator[DataStream]:
        """Yield the news of each table; its rows are kept in one place and told to all workers."""
        for source in self.pipeline.tables:
            name = f"table {digest(source)}"  # state is found by it, and of another there is none
            ticks = _ticks(env, f"ticks of {name}")
            kept = ticks.key_by(_one_key, Types.INT()).process(
                KeepTable(self.pipeline, source, self.inference, self.files), _bytes()
            )
            kept.name(name).uid(name).set_parallelism(1)
            tell = TellTable(self.pipeline, source, self.files)
            kept.broadcast().flat_map(tell, _bytes()).name(f"tell {name}").uid(f"tell {name}")
            # Not in the thread of the table: Python would have two states there, of which a native
            # library that wants back into Python takes the wrong one, and waits for ever.
            news = kept.flat_map(news_from, _bytes()).name(f"news of {name}").disable_chaining()
            news = news.uid(f"news of {name}").set_parallelism(1)
            passed = _to_the_first(news).map(_as_it_is, _bytes())
            yield passed.name(f"pass on {name}").uid(f"pass on {name}")

    def _trainer_key(self) -> Callable[[bytes], str]:
        """Return the keys of the trainers: names by which Flink gives each a place of its own.

        They wait for each other, so two in one place could wait for ever.
        """
        n_trainers, names = self.pipeline.n_trainers, dict[int, str]()
        jvm = get_gateway().jvm
        place_of = jvm.org.apache.flink.runtime.state.KeyGroupRangeAssignment
        for number in itertools.count():
            row = jvm.org.apache.flink.types.Row(1)
            row.setField(0, f"trainer {number}")
            place = place_of.assignKeyToParallelOperator(row, MAX_PARALLELISM, n_trainers)
            names.setdefault(place, f"trainer {number}")
            if len(names) == n_trainers:
                break
        return lambda value: names[int(Recognised.source_of(value))]

    def _chunks(self, env: StreamExecutionEnvironment, n_chunks: int) -> DataStream:
        """Return the numbers of all chunks; workers ask for them and share a task with them."""
        numbers = _companion().InOrderSource(n_chunks, _CHUNKS_IN_RANGE)
        return _from(env, numbers, "chunks")

    def _received(self, env: StreamExecutionEnvironment, source: ConnectorSource) -> DataStream:
        """Return the records of a connector, in all workers; each is recognised where it comes."""
        never = WatermarkStrategy.no_watermarks()
        from_java = Source(connector_of(source).source(source))
        return env.from_source(from_java, never, "read", _bytes()).uid("read")

    def _frames(self, env: StreamExecutionEnvironment, read: ReadStream) -> DataStream:
        """Return the images of a stream, read in one place and dealt out to the workers."""
        ticks = _ticks(env, "ticks")
        frames = ticks.key_by(_one_key, Types.INT()).process(read, _bytes())
        frames.name("read").uid("read").set_parallelism(1)
        return frames.rebalance()


def _bytes() -> TypeInformation:
    """Return the type of encoded results; made anew, since it remembers the Java it was used in."""
    return Types.PRIMITIVE_ARRAY(Types.BYTE())


def _companion() -> Any:
    """Return the package of our own Java classes."""
    return get_gateway().jvm.ai.sightflow.flink


def _from(env: StreamExecutionEnvironment, numbers: Any, name: str) -> DataStream:
    """Return the numbers of one of our sources."""
    never = WatermarkStrategy.no_watermarks()
    return env.from_source(Source(numbers), never, name, Types.LONG()).uid(name)


def _ticks(env: StreamExecutionEnvironment, name: str) -> DataStream:
    """Return the beat of a clock."""
    return _from(env, _companion().TickSource(1 / TICK_S), name).set_parallelism(1)


def _signalled(
    stream: KeyedStream, function: Any, name: str, state: str, *, commits: bool = False
) -> DataStream:
    """Return what a function with keyed state makes of a stream; it is told of checkpoints."""
    of_java, result = stream._j_data_stream, _bytes().get_java_type_info()
    operator = _companion().SignallingOperator(
        get_j_env_configuration(of_java.getExecutionEnvironment()),
        _create_j_data_stream_python_function_info(
            function, UserDefinedDataStreamFunction.KEYED_PROCESS
        ),
        of_java.getTransformation().getOutputType(),
        result,
        state,
        commits,
    )
    results = DataStream(of_java.transform(name, result, operator))
    return results.name(name).uid(name)


def _to_the_first(stream: DataStream) -> DataStream:
    """Send all to the first place of what follows, so that it stays in order.

    Java's streams can; its name is a word of Python's, and PyFlink leaves it out.
    """
    return DataStream(getattr(stream._j_data_stream, "global")())


def _as_it_is(value: bytes) -> bytes:
    """Return what came: results can be joined only with as many places as they come from."""
    return value


def _one_key(value: object) -> int:
    """Return the same key for all: what follows is in one place."""
    return 0
