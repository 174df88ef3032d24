"""A Kafka broker for tests: a real one, on the loopback address, that can be killed and go on.

It needs `confluent-kafka`, and its jars (`kafka_jars.txt`), which are fetched once. Where these are
missing, tests that need it are skipped, unless it must be there.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from sightflow.errors import SetupError
from sightflow.flink.jars import Jar, find_jar
from sightflow.flink.java import find_java_home

__all__ = ["Broker", "a_broker", "quiet"]

IS_REQUIRED = "kafka" in os.environ.get("SIGHTFLOW_REQUIRE", "").split(",")
START_TIMEOUT_S = 60
MAX_MESSAGE_BYTES = 10 << 20
_JARS = Path(__file__).with_name("kafka_jars.txt")
_FLAGS = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_CLUSTER = "c2lnaHRmbG93LXRlc3RzMQ"

_PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}
auto.create.topics.enable=false
message.max.bytes={max_bytes}
replica.fetch.max.bytes={max_bytes}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=200
broker.session.timeout.ms=1000
num.network.threads=1
num.io.threads=2
background.threads=1
log.cleaner.enable=false
"""

_DIES_WITH_US = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""
"""Runs a command that is killed when the thread that started it is gone."""


class Broker:
    """A broker of its own folder and port; it dies with this process, however that ends."""

    def __init__(self, folder: Path) -> None:
        """Take a folder for its data and logs; nothing runs before `start`."""
        self._folder = folder
        self._log = folder / "broker.log"
        self._jars = os.pathsep.join(str(find_jar(jar)) for jar in broker_jars())
        self.port, controller = _free_ports(2)
        self._properties = folder / "server.properties"
        self._properties.write_text(
            _PROPERTIES.format(
                port=self.port,
                controller=controller,
                folder=folder / "data",
                max_bytes=MAX_MESSAGE_BYTES,
            )
        )
        # Linux ties a process to the thread that starts it: one that stays as long as we do.
        self._parent = ThreadPoolExecutor(1, "kafka")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def servers(self) -> str:
        """Return the address of the broker, as clients want it."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Return the number of the process that runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, on the data that are there, and wait until it answers."""
        if not (self._folder / "data").exists():
            properties = str(self._properties)
            format_data = ("kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", properties)
            assert self._launch(*format_data).wait(START_TIMEOUT_S) == 0, self._last_words()
        self._process = self._launch("kafka.Kafka", str(self._properties))
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            assert self._process.poll() is None, f"the broker has ended: {self._last_words()}"
            assert time.monotonic() < deadline, f"the broker is silent: {self._last_words()}"

    def kill(self) -> None:
        """Kill it, as a machine dies."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it; its data stay."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()

    def close(self) -> None:
        """End it for good."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        self._parent.shutdown()

    def create(self, n_partitions: int = 1, *, name: str = "topic", **config: str) -> str:
        """Make a topic whose name begins so; return its name."""
        topic = f"{name}-{uuid.uuid4().hex[:8]}"
        self.create_exactly(topic, n_partitions, **config)
        return topic

    def create_exactly(self, topic: str, n_partitions: int = 1, **config: str) -> None:
        """Make a topic of this name."""
        from confluent_kafka.admin import AdminClient, NewTopic

        admin = AdminClient(quiet({"bootstrap.servers": self.servers}))
        new = NewTopic(topic, n_partitions, 1, config=config)
        admin.create_topics([new])[topic].result(START_TIMEOUT_S)

    def produce(self, topic: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Write records: `value`, and where wanted `key`, `partition`, `timestamp`, `headers`."""
        from confluent_kafka import Producer

        config = {"bootstrap.servers": self.servers, "message.max.bytes": MAX_MESSAGE_BYTES}
        producer = Producer(quiet(config))
        failures: list[Any] = []

        def note(error: Any, message: Any) -> None:
            if error is not None:
                failures.append(error)

        for record in records:
            while True:
                try:
                    producer.produce(topic, on_delivery=note, **record)
                    break
                except BufferError:  # so much is on its way
                    producer.poll(0.1)
            producer.poll(0)
        assert producer.flush(START_TIMEOUT_S) == 0
        assert not failures, failures

    def read(self, topic: str, *, committed: bool = True) -> list[Any]:
        """Return all messages of a topic that are there now, by partition and offset.

        Args:
            topic: its name.
            committed: without those of transactions that are open or were given up.
        """
        from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

        level = "read_committed" if committed else "read_uncommitted"
        config = {"bootstrap.servers": self.servers, "group.id": "reader"}
        config |= {"isolation.level": level, "enable.partition.eof": True}
        found: list[Any] = []
        with closing(Consumer(quiet(config))) as consumer:
            partitions = consumer.list_topics(topic, 10).topics[topic].partitions
            places = [TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions]
            consumer.assign(places)
            n_ends = 0
            deadline = time.monotonic() + START_TIMEOUT_S
            while n_ends < len(places):
                assert time.monotonic() < deadline, f"{topic} has not been read to its end"
                message = consumer.poll(1.0)
                if message is None:
                    continue
                if message.error() is None:
                    found.append(message)
                elif message.error().name() == "_PARTITION_EOF":
                    n_ends += 1
        return sorted(found, key=lambda one: (one.partition(), one.offset()))

    def _launch(self, *arguments: str) -> "subprocess.Popen[bytes]":
        java = str(find_java_home() / "bin" / "java")
        logging = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        command = [java, *_FLAGS, logging, "-cp", self._jars, *arguments]
        tied = [sys.executable, "-S", "-c", _DIES_WITH_US, str(os.getpid()), *command]

        def launch() -> "subprocess.Popen[bytes]":
            with open(self._log, "ab") as log:
                return subprocess.Popen(tied, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

        return self._parent.submit(launch).result()

    def _answers(self) -> bool:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.port)):
                time.sleep(0.05)
                return False
        try:
            admin = AdminClient(quiet({"bootstrap.servers": self.servers}))
            return bool(admin.list_topics(timeout=1.0).brokers)
        except KafkaException:
            return False

    def _last_words(self) -> str:
        return self._log.read_text("utf-8", "replace")[-4000:] if self._log.exists() else "no log"


def quiet(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return properties of a client that says nothing of connections that come and go."""
    return {**config, "log_level": 0}


def broker_jars() -> Sequence[Jar]:
    """Return the broker and all that it needs."""
    lines = (line.split() for line in _JARS.read_text().splitlines())
    return [Jar(*coordinates.split(":"), sha256) for sha256, coordinates in lines]


@contextmanager
def a_broker() -> Iterator[Broker]:
    """Give a broker that runs; skip what needs it where it cannot be had, unless it must be."""
    try:
        import confluent_kafka  # noqa: F401

        folder = Path(tempfile.mkdtemp(prefix="kafka-"))
        broker = Broker(folder)
    except (ImportError, SetupError) as error:
        if IS_REQUIRED:
            raise
        pytest.skip(f"a broker is missing: {error}")
    try:
        broker.start()
        yield broker
    finally:
        broker.close()
        shutil.rmtree(folder, ignore_errors=True)


def _free_ports(n_ports: int) -> list[int]:
    """Return ports of the loopback address that nothing has."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n_ports)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
