"""Who sees the metrics of embedded Flink."""

import logging
import socket
from pathlib import Path

import pytest

from sightflow import RunSettings
from sightflow.flink.reporters import reporter_jars, reporter_options, warn_unheard


def test_nobody_sees_them_unless_asked() -> None:
    assert reporter_options(RunSettings()) == {}


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/metrics"),
        ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/metrics"),
        ("https://collector/of/mine", "https://collector/of/mine"),
        ("https://collector?of=me", "https://collector/v1/metrics?of=me"),
        ("https://collector/?of=me", "https://collector/v1/metrics?of=me"),
        ("https://collector/mine/?of=me", "https://collector/mine/?of=me"),
    ],
)
def test_without_a_path_a_url_is_that_of_a_collector(url: str, endpoint: str) -> None:
    options = reporter_options(RunSettings(otlp_url=url))
    assert options["metrics.reporter.otlp.exporter.endpoint"] == endpoint


def test_the_jars_of_all_reporters_are_there() -> None:
    jars = [Path(jar) for jar in reporter_jars()]
    assert all(jar.is_file() for jar in jars)
    assert [jar.name.partition("-2")[0] for jar in jars] == [
        "flink-metrics-prometheus",
        "flink-metrics-otel",
    ]


def test_a_receiver_that_does_not_answer_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as receiver:
        port = receiver.getsockname()[1]
        url = f"http://127.0.0.1:{port}/v1/metrics"
        with caplog.at_level(logging.WARNING, "sightflow"):
            warn_unheard(url)
            assert caplog.messages == []
    with caplog.at_level(logging.WARNING, "sightflow"):
        warn_unheard(url)
    assert caplog.messages == [
        f"nothing answers at 127.0.0.1:{port}, where the metrics go (Connection refused); they "
        "are lost until something does"
    ]
