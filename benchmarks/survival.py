"""Is every image in the output once, whatever of a cluster dies under a stream?

    make bench-survival
    make bench-survival ARGS="--stream kafka --kind broker --kills 20"
    make bench-survival ARGS="--stream folder --kills 2 --out FILE"

A real cluster runs on the loopback address: a JobManager with high availability by ZooKeeper, two
TaskManagers and a Kafka broker, each a process of its own. A job reads a stream without an end,
with a checkpoint every second:

- `kafka`: pictures from a topic are classified, and results are sent in transactions;
- `folder`: pictures that come into a watched folder, objects in them are followed, and results
  appear as Parquet.

Meanwhile processes of a kind are killed, one every few seconds, and started again as a supervisor
would: a Python worker crashes (which takes the TaskManager along that it is in), a TaskManager, the
JobManager or the broker gets SIGKILL. At the end each image must be in the output exactly once, as
readers of committed messages see it, and the ledger must say the same. How long it takes from the
kill until an image that came after it is in the output is the recovery time; with a checkpoint each
second it is at least about that.
"""

import argparse
import itertools
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow.parquet as pq

from bench import HERE, machine, made_pictures, write_report
from killing import KINDS, Site

sys.path.insert(0, str(HERE.parent))

from tests.cluster import Cluster
from tests.kafka import Broker, a_broker, quiet

from sightflow import Classify, Detect, Pipeline, RunSettings, Track, submit
from sightflow.flink import jobs
from sightflow.flink.rest import Rest
from sightflow.records.ledger import Ledger
from sightflow.sinks.dataset import Dataset
from sightflow.sinks.kafka import KafkaEvents
from sightflow.sources.kafka import KafkaImages
from sightflow.sources.watched import Watched

CHECKPOINT_MS = 1_000
FLOWING_S = 60.0
RECOVERY_S = 120.0
POLL_S = 0.05


class Feed(Protocol):
    """A stream of numbered images, and what has become of them."""

    pipeline: Pipeline

    def put(self, number: int) -> None:
        """Bring the next image."""

    def look(self) -> list[int]:
        """Return the numbers of the results that have appeared since the last call."""

    def close(self) -> None:
        """Let go of what is open."""


class KafkaFeed:
    """Pictures in a topic, and the messages that come of them."""

    def __init__(self, broker: Broker) -> None:
        """Make the topics."""
        from confluent_kafka import Consumer, Producer, TopicPartition

        images, results = broker.create(2, name="images"), broker.create(2, name="results")
        self.pipeline = (
            Pipeline(KafkaImages(images, broker.servers), name="survival")
            .apply("classify", Classify(top_k=1))
            .write("out", KafkaEvents(broker.servers, results))
        )
        self._topic = images
        self._pictures = itertools.cycle(path.read_bytes() for path in _pictures())
        servers = {"bootstrap.servers": broker.servers}
        self._producer = Producer(quiet({**servers, "enable.idempotence": True}))
        read = {**servers, "group.id": "counting", "isolation.level": "read_committed"}
        self._consumer = Consumer(quiet(read))
        self._consumer.assign([TopicPartition(results, number, 0) for number in range(2)])

    def put(self, number: int) -> None:
        """Bring the next image."""
        headers = [("number", str(number).encode())]
        self._producer.produce(
            self._topic,
            next(self._pictures),
            key=f"camera {number % 4}",
            partition=number % 2,
            headers=headers,
        )
        self._producer.poll(0)

    def look(self) -> list[int]:
        """Return the numbers of the results that readers of committed messages see."""
        found = self._consumer.consume(1_000, POLL_S)
        rows = [json.loads(message.value()) for message in found if message.error() is None]
        return [int(row["metadata"]["number"]) for row in rows]

    def close(self) -> None:
        """End the connection."""
        self._consumer.close()


class FolderFeed:
    """Pictures of two cameras in a folder, and the parts of Parquet that come of them."""

    def __init__(self, folder: Path) -> None:
        """Make the folders."""
        self._inbox, self._out, self._draft = folder / "inbox", folder / "out", folder / "draft.jpg"
        for camera in range(2):
            (self._inbox / f"camera{camera}").mkdir(parents=True)
        source = Watched(str(self._inbox), by_folder=True, every_s=0.5, settle_ms=0)
        self.pipeline = (
            Pipeline(source, name="survival")
            .apply("detect", Detect())
            .apply("track", Track())
            .write("out", Dataset(str(self._out)))
        )
        self._pictures = itertools.cycle(_pictures())
        self._seen: set[str] = set()

    def put(self, number: int) -> None:
        """Bring the next image."""
        shutil.copyfile(next(self._pictures), self._draft)
        self._draft.rename(self._inbox / f"camera{number % 2}" / f"{number:06d}.jpg")

    def look(self) -> list[int]:
        """Return the numbers of the results in new parts."""
        time.sleep(POLL_S)
        new = [p for p in sorted(self._out.glob("results/*.parquet")) if p.name not in self._seen]
        self._seen.update(part.name for part in new)
        uris = [
            uri for part in new for uri in pq.read_table(part, columns=["uri"])["uri"].to_pylist()
        ]
        return [int(Path(uri).stem) for uri in uris]

    def close(self) -> None:
        """Leave the folder to who made it."""


def _pictures() -> list[Path]:
    return sorted(made_pictures().glob("*.jpg"))


@dataclass
class Account:
    """What was put in and what came out, each with its time; threads of their own do both."""

    feed: Feed
    rate: float
    put_at: list[float] = field(default_factory=list)
    seen_at: dict[int, float] = field(default_factory=dict)
    counts: Counter[int] = field(default_factory=Counter)
    _is_fed: threading.Event = field(default_factory=threading.Event)
    _is_over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin to feed, and to look."""
        self._threads = [threading.Thread(target=work) for work in (self._put, self._look)]
        for thread in self._threads:
            thread.start()

    def stop_feeding(self) -> None:
        """Put in nothing more."""
        self._is_fed.set()
        self._threads[0].join()

    def stop(self) -> None:
        """End both."""
        self._is_fed.set()
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, since: float, timeout_s: float) -> float:
        """Return when a result appeared of an image that was put in after a time."""
        deadline = time.monotonic() + timeout_s
        first = len(self.put_at)
        while time.monotonic() < deadline:
            first = next((n for n, at in enumerate(list(self.put_at)) if at > since), first)
            times = [at for number, at in list(self.seen_at.items()) if number >= first]
            if times:
                return min(times)
            time.sleep(POLL_S)
        raise TimeoutError(f"no result of an image that came later, in {timeout_s:.0f} s")

    def wait_for_all(self, timeout_s: float) -> None:
        """Wait until each image has a result, or for so long."""
        deadline = time.monotonic() + timeout_s
        while len(self.counts) < len(self.put_at) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        time.sleep(2 * CHECKPOINT_MS / 1e3)  # what came twice would come now

    def _put(self) -> None:
        due = time.monotonic()
        for number in itertools.count():
            due += 1 / self.rate
            if self._is_fed.wait(max(0.0, due - time.monotonic())):
                return
            self.put_at.append(time.monotonic())
            self.feed.put(number)

    def _look(self) -> None:
        while not self._is_over.is_set():
            for number in self.feed.look():
                self.counts[number] += 1
                self.seen_at.setdefault(number, time.monotonic())


def campaign(site: Site, feed: Feed, kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """Kill processes of a kind under a job; return what was seen."""
    settings = RunSettings(workers=2, checkpoint_interval_ms=CHECKPOINT_MS)
    shared = (str(site.cluster.folder.parent),)
    job = submit(feed.pipeline, settings, rest_url=site.cluster.rest_url, shared=shared)
    account, rng = Account(feed, options.rate), random.Random(options.seed)
    recovered, orphans = list[float](), set[int]()
    account.start()
    try:
        account.wait_for(time.monotonic(), FLOWING_S)
        for number in range(options.kills):
            time.sleep(rng.uniform(1, 4))
            killed_at = time.monotonic()
            site.kill(kind)
            recovered.append(round(account.wait_for(killed_at, RECOVERY_S) - killed_at, 2))
            orphans.update(site.orphans())
            print(f"{kind} {number + 1}: again after {recovered[-1]} s", flush=True)
        account.stop_feeding()
        account.wait_for_all(RECOVERY_S)
        ledger = _ledger(site, job.job_id)
        jobs.cancel(Rest(site.cluster.rest_url), job.job_id)
        if options.orphans_after_s:
            time.sleep(options.orphans_after_s)
            orphans.update(site.orphans())
    finally:
        account.stop()
        feed.close()
    return _told(account, ledger, recovered, orphans)


def _ledger(site: Site, job_id: str) -> dict[str, int]:
    rows = jobs.list_jobs(Rest(site.cluster.rest_url))
    row = next(row for row in rows if row["id"] == job_id)
    return {name: row[name] or 0 for name in asdict(Ledger())}


def _told(
    account: Account, ledger: dict[str, int], recovered: list[float], orphans: set[int]
) -> dict[str, Any]:
    n_images = len(account.put_at)
    latencies = [
        account.seen_at[n] - at for n, at in enumerate(account.put_at) if n in account.seen_at
    ]
    return {
        "kills": len(recovered),
        "images": n_images,
        "once": sum(count == 1 for count in account.counts.values()),
        "missing": n_images - len(account.counts),
        "more_than_once": sum(count > 1 for count in account.counts.values()),
        "ledger": ledger,
        "ledger_agrees": ledger["read"] == ledger["recognised"] == n_images,
        "recovery_p50_s": round(float(np.percentile(recovered, 50)), 2),
        "recovery_p95_s": round(float(np.percentile(recovered, 95)), 2),
        "recovery_s": recovered,
        "latency_p50_s": round(float(np.percentile(latencies, 50)), 2),
        "orphans": sorted(orphans),
    }


def sites(stream: str, folder: Path) -> Iterator[tuple[Site, Feed]]:
    """Yield a new cluster, and a feed on it."""
    while True:
        here = Path(tempfile.mkdtemp(dir=folder))
        with ExitStack() as parts:
            broker = parts.enter_context(a_broker()) if stream == "kafka" else None
            cluster = parts.enter_context(
                Cluster(here / "cluster", taskmanagers=2, slots=1, highly_available=True)
            )
            feed = KafkaFeed(broker) if broker is not None else FolderFeed(here / "pictures")
            yield Site(cluster, broker), feed


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stream", choices=("kafka", "folder"), nargs="*")
    parser.add_argument("--kind", choices=tuple(KINDS), nargs="*")
    parser.add_argument("--kills", type=int, default=20, help="of each kind")
    parser.add_argument("--rate", type=float, default=10.0, help="images a second")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--orphans-after-s", type=float, default=60.0)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "survival.json")
    options = parser.parse_args()
    report: dict[str, Any] = {"machine": machine(), "rate": options.rate, "streams": {}}
    with tempfile.TemporaryDirectory(prefix="survival-") as folder:
        for stream in options.stream or ("kafka", "folder"):
            told = report["streams"].setdefault(stream, {})
            for kind in options.kind or KINDS:
                if kind == "broker" and stream == "folder":
                    continue
                new = sites(stream, Path(folder))
                site, feed = next(new)
                told[kind] = campaign(site, feed, kind, options)
                new.close()
                write_report(options.out, report)
                print(stream, kind, json.dumps(told[kind]), flush=True)
    rows = [row for told in report["streams"].values() for row in told.values()]
    is_right = all(
        row["once"] == row["images"] and row["ledger_agrees"] and not row["orphans"] for row in rows
    )
    print(f"{sum(row['kills'] for row in rows)} kills; every image once: {is_right}")
    sys.exit(0 if is_right else 1)


if __name__ == "__main__":
    main()
