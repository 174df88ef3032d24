"""Those who see the metrics of a job: a scraper, a real Prometheus, a receiver of OpenTelemetry.

Prometheus is Debian's (`apt-get install prometheus`). Where it is missing, tests that need it are
skipped, unless it must be there.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.cluster import die_with_parent

__all__ = ["Prometheus", "Receiver", "Scraper", "command", "free_ports", "metric_names"]

IS_REQUIRED = "prometheus" in os.environ.get("SIGHTFLOW_REQUIRE", "").split(",")
_START_TIMEOUT_S = 30
_EVERY_S = 0.2


def command(name: str) -> str:
    """Return a command of Prometheus; skip what needs it where it is missing, unless it must be."""
    found = shutil.which(name)
    if found is None and not IS_REQUIRED:
        pytest.skip(f"{name} is missing: apt-get install prometheus")
    assert found is not None, f"{name} must be there: SIGHTFLOW_REQUIRE names prometheus"
    return found


def free_ports(n_ports: int) -> list[int]:
    """Return ports of the loopback address that nothing has."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n_ports)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def metric_names(text: str) -> set[str]:
    """Return the metrics that a text names: a page, or a query."""
    return set(re.findall(r"\bflink_\w+", text))


@dataclass
class Scraper:
    """Scrapes a port again and again, from a thread, and keeps the last value of each series."""

    port: int
    series: dict[str, dict[frozenset[tuple[str, str]], float]] = field(default_factory=dict)
    """Value by metric and labels, of all jobs that were seen."""
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watching(self) -> Iterator["Scraper"]:
        """Scrape until the block is left."""
        self._over.clear()
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()

    def values(self, name: str, **labels: str) -> list[float]:
        """Return the last values of a metric, of the series with these labels."""
        found = self.series.get(name, {})
        return [value for key, value in found.items() if labels.items() <= dict(key).items()]

    def _run(self) -> None:
        while not self._over.wait(_EVERY_S):
            with suppress(OSError):  # no job runs just now
                url = f"http://127.0.0.1:{self.port}/metrics"
                with urllib.request.urlopen(url, timeout=5) as answer:
                    self._keep(answer.read().decode())

    def _keep(self, text: str) -> None:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = frozenset(sample.labels.items())
                self.series.setdefault(sample.name, {})[labels] = sample.value


class Prometheus:
    """A real server of its own folder and port, which scrapes one job several times a second.

    It ends with the thread that starts it: start it in the main one.
    """

    def __init__(self, folder: Path, target: int) -> None:
        """Take a folder for its data, and the port of the job; nothing runs before `running`."""
        self._folder = folder
        (self._port,) = free_ports(1)
        self._config = folder / "prometheus.yaml"
        self._config.write_text(
            f"global: {{scrape_interval: {_EVERY_S * 1000:.0f}ms}}\n"
            f"scrape_configs: [{{job_name: sightflow, static_configs: "
            f'[{{targets: ["127.0.0.1:{target}"]}}]}}]\n'
        )

    @contextmanager
    def running(self) -> Iterator["Prometheus"]:
        """Run it while the block goes on."""
        arguments = [
            f"--config.file={self._config}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
        ]
        with open(self._folder / "prometheus.log", "wb") as log:
            process = subprocess.Popen(
                [command("prometheus"), *arguments],
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )
        try:
            self._wait()
            yield self
        finally:
            process.terminate()
            process.wait(_START_TIMEOUT_S)

    def values(self, query: str, start: float, end: float) -> list[float]:
        """Return all numbers that a query gives between two times, in seconds since 1970."""
        asked = {"query": query, "start": start, "end": end, "step": "0.5"}
        result = self._get("/api/v1/query_range?" + urllib.parse.urlencode(asked))["data"]["result"]
        found = [float(value) for one in result for _, value in one["values"]]
        return [value for value in found if value == value]  # NaN: nothing was observed yet

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                self._get("/api/v1/status/runtimeinfo")
                return
            except OSError:
                log = (self._folder / "prometheus.log").read_text()
                assert time.monotonic() < deadline, log
                time.sleep(0.1)

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=10) as answer:
            return json.load(answer)


class Receiver:
    """Receives metrics by OTLP over HTTP, as a collector of OpenTelemetry does."""

    def __init__(self) -> None:
        """Listen to nothing before `running`."""
        self.points: dict[str, dict[frozenset[tuple[str, str]], Any]] = {}
        """The last point by metric and attributes."""
        self.services: set[str] = set()
        self.url = ""

    @contextmanager
    def running(self) -> Iterator["Receiver"]:
        """Receive while the block goes on."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                is_ours = self.path == "/v1/metrics"
                if is_ours:
                    receiver._keep(body)
                self.send_response(200 if is_ours else 404)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.url = f"http://127.0.0.1:{server.server_port}"
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()

    def _keep(self, body: bytes) -> None:
        from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

        request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(body)
        for resource in request.resource_metrics:
            named = {a.key: a.value.string_value for a in resource.resource.attributes}
            self.services.add(named["service.name"])
            for metric in (m for scope in resource.scope_metrics for m in scope.metrics):
                for point in getattr(metric, metric.WhichOneof("data")).data_points:
                    labels = frozenset((a.key, a.value.string_value) for a in point.attributes)
                    self.points.setdefault(metric.name, {})[labels] = point
