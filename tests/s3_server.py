"""An object store for tests: a server of S3 on the loopback address, in this process."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from unittest import mock
from urllib.request import Request, urlopen

import boto3
import s3fs
from moto.server import ThreadedMotoServer

__all__ = ["BUCKET", "Store", "store"]

BUCKET = "photos"


class Store:
    """A running server with one bucket."""

    def __init__(self, url: str) -> None:
        self.environment: Mapping[str, str] = {
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": url,
        }
        """What a process needs to reach it."""
        self._client = boto3.client(
            "s3",
            endpoint_url=url,
            aws_access_key_id="tester",
            aws_secret_access_key="secret",
            region_name="us-east-1",
        )
        self._client.create_bucket(Bucket=BUCKET)

    def put(self, key: str, data: bytes) -> None:
        self._client.put_object(Bucket=BUCKET, Key=key, Body=data)

    def delete(self, key: str) -> None:
        self._client.delete_object(Bucket=BUCKET, Key=key)

    def close(self) -> None:
        self._client.close()


@contextmanager
def store() -> Iterator[Store]:
    """Start a server, and let this process find it as a user's would."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    reset = f"http://{host}:{port}/moto-api/reset"  # buckets outlive a server, in its process
    urlopen(Request(reset, method="POST"), timeout=10).close()
    found = Store(f"http://{host}:{port}")
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        with mock.patch.dict(os.environ, found.environment):
            yield found
    finally:
        found.close()
        s3fs.S3FileSystem.clear_instance_cache()
        server.stop()
