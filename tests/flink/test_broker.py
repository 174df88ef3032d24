"""The broker of the tests is a real one: it keeps what it said it had, and dies with the tests."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.kafka import Broker

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.flink


def test_a_broker_that_was_killed_has_all_that_it_took(broker: Broker) -> None:
    topic = broker.create(2)
    values = [bytes([number]) for number in range(100)]
    broker.produce(topic, ({"value": value, "partition": value[0] % 2} for value in values))
    broker.kill()
    broker.start()
    broker.produce(topic, [{"value": b"more", "partition": 0}])
    found = [(one.partition(), one.offset(), one.value()) for one in broker.read(topic)]
    assert found[:51] == [(0, i, bytes([2 * i])) for i in range(50)] + [(0, 50, b"more")]
    assert found[51:] == [(1, i, bytes([2 * i + 1])) for i in range(50)]


def test_a_broker_dies_with_the_tests_that_started_it(broker: Broker) -> None:
    code = (
        "from tests.kafka import a_broker; import threading, time\n"
        "with a_broker() as broker:\n"
        "    thread = threading.Thread(target=lambda: (broker.kill(), broker.start()))\n"
        "    thread.start(); thread.join()\n"
        "    print(broker.pid, flush=True); time.sleep(60)"
    )
    tests = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert tests.stdout is not None
    java = psutil.Process(int(tests.stdout.readline()))
    assert java.is_running()
    tests.kill()
    tests.wait()
    tests.stdout.close()
    deadline = time.monotonic() + 10
    while java.is_running() and java.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the broker outlived the tests"
        time.sleep(0.05)
