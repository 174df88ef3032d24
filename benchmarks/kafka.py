"""Pictures through Kafka: how many a second beside a plain consumer, and how late are results?

    make bench-kafka
    make bench-kafka ARGS="--images 2000 --rounds 1 --seconds 20"

A real broker runs on the loopback address. Throughput: a topic with two partitions holds pictures
of 20 KB to 1 MB, and what comes of them goes to another topic; Sightflow with transactions and
without, and two plain processes with a consumer, the same decoder and model, and a producer. A rate
is of all results after the first twentieth, by the times of the messages. Each runs once in each
round, in an order that rotates.

Latency: pictures are sent at half of the rate of `made` pictures, whatever happens, and a reader of
committed messages notes when each result is there, from when its time to be sent was.
"""

import argparse
import io
import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import sightflow
from bench import HERE, machine, made_pictures, median, spread, write_report

sys.path.insert(0, str(HERE.parent))

from tests.kafka import Broker, a_broker, quiet

from sightflow import Classify, Pipeline, RunSettings, run
from sightflow.sinks.kafka import KafkaEvents
from sightflow.sources.kafka import KafkaImages

MODEL = Path(sightflow.__file__).parent / "models" / "zoo" / "efficientnet_lite0"
N_PARTITIONS, N_SIZES = 2, 200
SMALLEST, LARGEST = 20_000, 1_000_000
WARM_UP_SHARE = 20
CHECKPOINT_MS = 1_000


def sized_pictures() -> list[bytes]:
    """Return JPEGs whose sizes are spread from 20 KB to 1 MB, as many small as large by octave."""
    files = itertools.cycle(sorted(made_pictures().glob("*.jpg")))
    wanted = np.geomspace(SMALLEST * 1.05, LARGEST * 0.95, N_SIZES)
    pictures = [_of_size(Image.open(file), size) for file, size in zip(files, wanted, strict=False)]
    return [pictures[i] for i in np.random.default_rng(0).permutation(N_SIZES)]


def _of_size(picture: Image.Image, n_bytes: float) -> bytes:
    """Return a JPEG of about so many bytes: the picture, scaled."""
    scale = 1.0
    for _ in range(8):
        side = round(picture.width * scale), round(picture.height * scale)
        buffer = io.BytesIO()
        picture.resize(side, Image.Resampling.BICUBIC).save(buffer, "jpeg", quality=90)
        if abs(buffer.tell() / n_bytes - 1) < 0.03:
            break
        scale *= (n_bytes / buffer.tell()) ** 0.5
    return buffer.getvalue()


def fill(broker: Broker, pictures: list[bytes], n_images: int) -> str:
    """Return a topic with so many pictures."""
    topic = broker.create(N_PARTITIONS, name="pictures")
    broker.produce(
        topic,
        (
            {"value": pictures[i % len(pictures)], "key": f"{i % 8}", "partition": i % N_PARTITIONS}
            for i in range(n_images)
        ),
    )
    return topic


def with_sightflow(guarantee: str) -> Callable[[Broker, str, str], None]:
    """Return what classifies a topic with Sightflow."""

    def classify(broker: Broker, topic: str, results: str) -> None:
        source = KafkaImages(topic, broker.servers, stop="latest")
        sink = KafkaEvents(broker.servers, results, guarantee=guarantee)  # type: ignore[arg-type]
        pipeline = Pipeline(source, name="kafka").apply("classify", Classify(top_k=5))
        settings = RunSettings(checkpoint_interval_ms=CHECKPOINT_MS, workers=N_PARTITIONS)
        run(pipeline.write("out", sink), settings)

    return classify


def with_consumer(broker: Broker, topic: str, results: str) -> None:
    """Classify a topic with plain processes."""
    model, labels = MODEL / "model.onnx", MODEL / "labels.txt"
    command = [sys.executable, str(HERE / "peers" / "kafka_consumer.py")]
    command += ["--servers", broker.servers, "--topic", topic, "--results", results]
    command += ["--model", str(model), "--labels", str(labels)]
    subprocess.run(command, check=True)


SYSTEMS: dict[str, Callable[[Broker, str, str], None]] = {
    "plain": with_consumer,
    "exactly-once": with_sightflow("exactly-once"),
    "at-least-once": with_sightflow("at-least-once"),
}


def measure(broker: Broker, system: str, topic: str, n_images: int) -> dict[str, float]:
    """Return how long one system took for a topic, and its rate."""
    results = broker.create(N_PARTITIONS, name="results")
    started = time.time()
    SYSTEMS[system](broker, topic, results)
    seconds = time.time() - started
    times = sorted(message.timestamp()[1] for message in broker.read(results))
    if len(times) != n_images:
        sys.exit(f"{system}: {n_images} results must be there; got {len(times)}")
    times = times[n_images // WARM_UP_SHARE :]
    rate = 1_000 * (len(times) - 1) / (times[-1] - times[0])
    return {"wall_s": round(seconds, 2), "images_per_s": round(rate, 2)}


def throughput(broker: Broker, n_images: int, rounds: int) -> dict[str, Any]:
    """Run all systems; return their rates, and those beside the plain consumer."""
    pictures = sized_pictures()
    topic = fill(broker, pictures, n_images)
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in SYSTEMS}
    for number in range(rounds):
        names = list(SYSTEMS)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            rows[name].append(measure(broker, name, topic, n_images))
            print(name, json.dumps(rows[name][-1]), flush=True)
    rates = {name: [row["images_per_s"] for row in those] for name, those in rows.items()}
    ratios = {
        name: [round(one / plain, 3) for one, plain in zip(those, rates["plain"], strict=True)]
        for name, those in rates.items()
    }
    sizes = sorted(map(len, pictures))
    return {
        "images": n_images,
        "bytes": {"smallest": sizes[0], "median": sizes[len(sizes) // 2], "largest": sizes[-1]},
        "runs": rows,
        "images_per_s": {name: median(those) for name, those in rates.items()},
        "spread": {name: spread(those) for name, those in rates.items()},
        "beside_plain": {name: median(those) for name, those in ratios.items()},
    }


def capacity(broker: Broker, n_images: int) -> float:
    """Return the rate at which pictures of one size are classified, when all are there."""
    pictures = [path.read_bytes() for path in sorted(made_pictures().glob("*.jpg"))]
    topic = fill(broker, pictures, n_images)
    return measure(broker, "at-least-once", topic, n_images)["images_per_s"]


class OpenLoop:
    """Sends pictures at a rate, and notes when their results are there."""

    def __init__(self, broker: Broker, rate: float) -> None:
        """Make the topics."""
        self.images = broker.create(N_PARTITIONS, name="images")
        self.results = broker.create(N_PARTITIONS, name="results")
        self._servers, self._rate = {"bootstrap.servers": broker.servers}, rate
        self.due_at: list[float] = []
        self.there_at: dict[int, float] = {}
        self.is_over = threading.Event()

    def send(self, n_images: int) -> None:
        """Send so many pictures, each at its time; the first wakes the job, and is waited for."""
        from confluent_kafka import Producer

        producer = Producer(quiet({**self._servers, "linger.ms": 0}))
        pictures = [path.read_bytes() for path in sorted(made_pictures().glob("*.jpg"))]
        due = time.time()
        for number in range(n_images):
            due += 1 / self._rate
            time.sleep(max(0.0, due - time.time()))
            self.due_at.append(due)
            headers = [("number", str(number).encode())]
            picture = pictures[number % len(pictures)]
            key, partition = str(number % 8), number % N_PARTITIONS
            producer.produce(self.images, picture, key=key, partition=partition, headers=headers)
            producer.poll(0)
            while number == 0 and not self.there_at and not self.is_over.is_set():
                producer.poll(0.05)
                due = time.time()
        producer.flush()

    def watch(self, n_images: int) -> None:
        """Note when each result is there, until all are."""
        from confluent_kafka import Consumer, TopicPartition

        read = {"group.id": "watching", "isolation.level": "read_committed", "fetch.wait.max.ms": 5}
        consumer = Consumer(quiet({**self._servers, **read, "fetch.queue.backoff.ms": 5}))
        consumer.assign([TopicPartition(self.results, n, 0) for n in range(N_PARTITIONS)])
        while len(self.there_at) < n_images and not self.is_over.is_set():
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                number = int(json.loads(message.value())["metadata"]["number"])
                self.there_at[number] = time.time()
        consumer.close()
        self.is_over.set()


def latency(broker: Broker, guarantee: str, rate: float, seconds: float) -> dict[str, Any]:
    """Return how late results are at a rate; the first tenth is left out."""
    n_images = round(rate * seconds)
    loop = OpenLoop(broker, rate)
    sink = KafkaEvents(broker.servers, loop.results, guarantee=guarantee)  # type: ignore[arg-type]
    pipeline = Pipeline(KafkaImages(loop.images, broker.servers), name="latency")
    pipeline = pipeline.apply("classify", Classify(top_k=5)).write("out", sink)
    settings = RunSettings(checkpoint_interval_ms=CHECKPOINT_MS, workers=N_PARTITIONS)
    watching = threading.Thread(target=loop.watch, args=(n_images,))
    sending = threading.Thread(target=loop.send, args=(n_images,))
    watching.start()
    sending.start()
    try:
        run(pipeline, settings, stop=loop.is_over.is_set)
    finally:
        loop.is_over.set()
        sending.join()
        watching.join()
    late = [
        1_000 * (loop.there_at[n] - loop.due_at[n]) for n in range(n_images // 10 + 1, n_images)
    ]
    cuts = dict(zip(("p50", "p95", "p99"), np.percentile(late, (50, 95, 99)), strict=True))
    return {
        "images": len(late),
        "latency_ms": {name: round(float(cut), 1) for name, cut in cuts.items()},
    }


def latencies(broker: Broker, n_images: int, seconds: float) -> Iterator[tuple[str, Any]]:
    """Yield what is told of latency, by name."""
    full = capacity(broker, n_images)
    yield "capacity_images_per_s", full
    yield "images_per_s", round(full / 2, 1)
    for guarantee in ("at-least-once", "exactly-once"):
        yield guarantee, latency(broker, guarantee, full / 2, seconds)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60, help="of latency [60]")
    parser.add_argument("--only", choices=("throughput", "latency"))
    parser.add_argument("--out", type=Path, default=HERE / "results" / "kafka.json")
    options = parser.parse_args()
    report: dict[str, Any] = {"machine": machine(), "checkpoint_interval_ms": CHECKPOINT_MS}
    with a_broker() as broker:
        if options.only != "throughput":
            told = report["latency"] = {}
            for name, value in latencies(broker, min(options.images, 1_500), options.seconds):
                told[name] = value
                print(name, json.dumps(value), flush=True)
                write_report(options.out, report)
        if options.only != "latency":
            report["throughput"] = throughput(broker, options.images, options.rounds)
            print(json.dumps(report["throughput"]["beside_plain"]))
    write_report(options.out, report)


if __name__ == "__main__":
    main()
