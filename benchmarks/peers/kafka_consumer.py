"""Plain Python processes, one for each partition: a consumer, the recogniser, a producer.

Offsets are committed behind the results of each batch, so that after a failure some come twice.
"""

import argparse
import json
import multiprocessing
import sys

from confluent_kafka import Consumer, Producer, TopicPartition
from recognise import Recogniser

QUIET_S = 5.0
MAX_BYTES = 10 << 20


def work(arguments: argparse.Namespace, partition: int) -> None:
    """Recognise the records of a partition until its end."""
    servers = {"bootstrap.servers": arguments.servers}
    consumer = Consumer(
        {
            **servers,
            "group.id": f"plain-{arguments.results}",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "fetch.queue.backoff.ms": 10,
        }
    )
    place = TopicPartition(arguments.topic, partition, 0)
    _, end = consumer.get_watermark_offsets(place, 10)
    consumer.assign([place])
    producer = Producer({**servers, "enable.idempotence": True, "message.max.bytes": MAX_BYTES})
    recognise = Recogniser(arguments.model, arguments.labels, arguments.batch_size, "simplejpeg")
    done = 0
    while done < end:
        records = consumer.consume(arguments.batch_size, QUIET_S)
        if not records:
            sys.exit(f"partition {partition}: nothing came for {QUIET_S} s, {done} of {end} done")
        rows = recognise.of_bytes([record.value() for record in records])
        for record, row in zip(records, rows, strict=True):
            row["offset"] = record.offset()
            producer.produce(arguments.results, json.dumps(row).encode(), key=record.key())
        producer.poll(0)
        consumer.commit(message=records[-1], asynchronous=True)
        done = records[-1].offset() + 1
    producer.flush()
    consumer.close()


def main() -> None:
    """Start the processes and wait for them."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("servers", "topic", "results", "model", "labels"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--partitions", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=1)
    arguments = parser.parse_args()
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=work, args=(arguments, partition))
        for partition in range(arguments.partitions)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        sys.exit("a process failed")


if __name__ == "__main__":
    main()
