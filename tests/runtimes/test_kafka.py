"""From Kafka to Kafka in this process, with a real broker: nothing is lost, whatever it does."""

import json
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.kafka import Broker, quiet
from tests.steps import Bright, Count

from sightflow.errors import OutputError, SetupError, SourceError
from sightflow.inline import run
from sightflow.pipeline import Pipeline
from sightflow.sinks.kafka import KafkaEvents
from sightflow.sinks.results import JsonLines
from sightflow.sources.kafka import KafkaImages
from sightflow.storage import kafka
from sightflow.testing import a_context, encode_image

pytestmark = pytest.mark.flink


def picture(brightness: int) -> bytes:
    return encode_image(np.full((8, 8, 3), brightness, np.uint8), "PNG")


def pictures(n_pictures: int, n_keys: int = 3) -> Iterator[dict[str, Any]]:
    for number in range(n_pictures):
        headers = [("site", b"north"), ("number", str(number).encode())]
        key = f"cam-{number % n_keys}"
        yield {"key": key, "value": picture(number % 200), "headers": headers}


def rows(broker: Broker, topic: str) -> list[dict[str, Any]]:
    return [json.loads(one.value()) for one in broker.read(topic)]


def sink_of(broker: Broker, **options: Any) -> KafkaEvents:
    topics = {name: broker.create(2, name=name) for name in ("results", "news", "dead")}
    return KafkaEvents(
        broker.servers,
        topic=topics["results"],
        events_topic=topics["news"],
        rejected_topic=topics["dead"],
        **options,
    )


def test_pictures_of_a_topic_become_messages_of_others(broker: Broker) -> None:
    topic, sink = broker.create(2), sink_of(broker)
    broker.produce(topic, pictures(60))
    broker.produce(topic, [{"key": "cam-0", "value": None}, {"key": "cam-1", "value": b"\xff\xd8"}])
    source = KafkaImages(topic, broker.servers, stop="latest")
    pipeline = Pipeline(source).apply("bright", Bright()).apply("count", Count())

    summary = run(pipeline.write("kafka", sink))

    assert (summary.ledger.read, summary.ledger.recognised, summary.ledger.rejected) == (62, 60, 2)
    messages = broker.read(str(sink.topic))
    assert len({one.value() for one in messages}) == len(messages) == 60
    for key in ("cam-0", "cam-1", "cam-2"):
        of_key = [json.loads(one.value()) for one in messages if one.key() == key.encode()]
        assert [int(row["metadata"]["number"]) for row in of_key] == list(
            range(int(key[-1]), 60, 3)
        )
        assert {row["source_id"] for row in of_key} == {key}
        assert {row["metadata"]["site"] for row in of_key} == {"north"}
        for row in of_key:
            score = np.float32(int(row["metadata"]["number"]) / 255)
            assert np.float32(row["detections"][0]["score"]) == score
    dead = rows(broker, str(sink.rejected_topic))
    assert sorted(row["reason"] for row in dead) == ["empty", "not_an_image"]
    assert all(row["uri"].startswith(f"kafka://{topic}/") for row in dead)
    kinds = Counter(row["kind"] for row in rows(broker, str(sink.events_topic)))
    assert kinds == {"tenth": 3 * 2, "over": 3}


def test_a_broker_that_is_killed_and_comes_back_costs_nothing(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    topic, sink = broker.create(2), sink_of(broker)
    broker.produce(topic, pictures(100))
    pipeline = Pipeline(KafkaImages(topic, broker.servers)).apply("bright", Bright())
    seen = [0]

    def note(ledger: Any, n_images: int | None) -> None:
        seen[0] = ledger.read

    def disturb() -> None:
        while seen[0] < 50:
            time.sleep(0.01)
        broker.kill()
        time.sleep(1.0)
        broker.start()
        broker.produce(topic, pictures(40))

    disturber = threading.Thread(target=disturb)
    disturber.start()
    with caplog.at_level(logging.WARNING, "sightflow"):
        summary = run(pipeline.write("kafka", sink), on_progress=note, stop=lambda: seen[0] == 140)
    disturber.join()

    assert summary.ledger.recognised == 140
    uris = [row["uri"] for row in rows(broker, str(sink.topic))]
    assert len(set(uris)) == len(uris) == 140
    assert f"Kafka at {broker.servers} does not answer; waiting for it" in caplog.text
    assert f"Kafka at {broker.servers} answers again" in caplog.text


def test_a_group_goes_on_where_its_last_run_ended(broker: Broker, tmp_path: Path) -> None:
    topic = broker.create(2)
    source = KafkaImages(topic, broker.servers, group="g", start="committed", stop="latest")
    counts = []
    for number, n_pictures in enumerate((7, 0, 5)):
        broker.produce(topic, pictures(n_pictures))
        out = JsonLines(str(tmp_path / f"{number}.jsonl"))
        counts.append(run(Pipeline(source).write("out", out)).ledger.read)
    assert counts == [7, 0, 5]


def test_what_a_transaction_gave_up_is_not_read_and_its_end_is_found(
    broker: Broker, tmp_path: Path
) -> None:
    from confluent_kafka import Producer

    topic = broker.create()
    producer = Producer(quiet({"bootstrap.servers": broker.servers, "transactional.id": topic}))
    producer.init_transactions(30)
    for number in range(3):
        producer.begin_transaction()
        producer.produce(topic, picture(100 + number))
        producer.flush(30)
        end = producer.abort_transaction if number == 1 else producer.commit_transaction
        end(30)
    source = KafkaImages(topic, broker.servers, stop="latest")

    summary = run(Pipeline(source).write("out", JsonLines(str(tmp_path / "out.jsonl"))))

    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["sequence"] for line in lines] == [0, 4]
    assert summary.ledger.read == 2


def test_claim_checks_are_redeemed(broker: Broker, tmp_path: Path) -> None:
    topic = broker.create()
    (tmp_path / "a.png").write_bytes(picture(9))
    paths = [tmp_path / name for name in ("a.png", "gone.png")]
    broker.produce(topic, ({"value": str(path)} for path in paths))
    source = KafkaImages(topic, broker.servers, content="uri", stop="latest")
    sink = sink_of(broker)

    run(Pipeline(source).write("kafka", sink))

    assert [row["uri"] for row in rows(broker, str(sink.topic))] == [str(tmp_path / "a.png")]
    (dead,) = rows(broker, str(sink.rejected_topic))
    assert (dead["uri"], dead["reason"]) == (str(tmp_path / "gone.png"), "unreadable")


def test_pictures_of_several_megabytes_pass(broker: Broker, tmp_path: Path) -> None:
    topic = broker.create()
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), np.uint8)
    large = encode_image(noise, "PNG")
    assert len(large) > 5_000_000
    broker.produce(topic, ({"value": large} for _ in range(12)))
    source = KafkaImages(topic, broker.servers, stop="latest")
    summary = run(Pipeline(source).write("out", JsonLines(str(tmp_path / "out.jsonl"))))
    assert summary.ledger.recognised == 12


def test_old_pictures_are_skipped_and_counted(broker: Broker, tmp_path: Path) -> None:
    topic = broker.create()
    hour_ago = int(time.time() * 1000) - 3_600_000
    broker.produce(topic, ({**one, "timestamp": hour_ago} for one in pictures(50, n_keys=1)))
    broker.produce(topic, pictures(4, n_keys=1))
    source = KafkaImages(topic, broker.servers, stop="latest", max_age_ms=600_000)
    summary = run(Pipeline(source).write("out", JsonLines(str(tmp_path / "out.jsonl"))))
    assert (summary.ledger.recognised, summary.ledger.skipped) == (4, 50)


def test_a_topic_that_is_not_there_is_told_before_anything_runs(broker: Broker) -> None:
    with pytest.raises(SourceError, match=f"nowhere: no such topic at {broker.servers}"):
        Pipeline(KafkaImages("nowhere", broker.servers)).check()
    pipeline = Pipeline(KafkaImages(broker.create(), broker.servers))
    with pytest.raises(OutputError, match="nowhere: no such topic"):
        pipeline.write("kafka", KafkaEvents(broker.servers, topic="nowhere")).check()


def test_where_no_broker_answers_the_error_says_what_to_check(
    free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "_ANSWER_S", 0.5)
    nobody = f"127.0.0.1:{free_port}"
    message = f"Kafka at {nobody}: no broker answers in .* s: .*refused.*check `servers`"
    with pytest.raises(SourceError, match=message):
        Pipeline(KafkaImages("t", nobody)).check()


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"no.such": "x"}, 'No such configuration property: "no.such"'),
        ({"message.max.bytes": "x"}, "message.max.bytes"),
    ],
)
def test_properties_that_the_client_does_not_take_are_named(
    properties: dict[str, str], message: str
) -> None:
    with pytest.raises(match=f"`properties`: .*{message}"):
        KafkaEvents("127.0.0.1:1", topic="t", properties=properties).check()


def test_a_message_that_the_broker_refuses_ends_the_run(broker: Broker) -> None:
    topic = broker.create(**{"max.message.bytes": "100"})
    broker.produce(topic, [{"value": b"x"}])
    dead = broker.create(**{"max.message.bytes": "100"})
    sink = KafkaEvents(broker.servers, rejected_topic=dead)
    pipeline = Pipeline(KafkaImages(topic, broker.servers, stop="latest"))
    with pytest.raises(OutputError, match=f"{dead}: a record cannot be written: .*too large"):
        run(pipeline.write("kafka", sink))


def test_without_the_client_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(SetupError, match=r"pip install 'sightflow\[kafka\]'"):
        KafkaImages("t", "b:9092").open_stream(a_context("read"), None)
