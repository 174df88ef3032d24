"""Who else may see the metrics of embedded Flink: Prometheus, and receivers of OpenTelemetry.

A reporter is found by its factory on the class path of Java; the plugins of Flink are not looked at
inside one process.
"""

import logging
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

from pyflink.find_flink_home import _find_flink_home

from sightflow.errors import SetupError
from sightflow.settings import RunSettings

__all__ = ["check_port", "reporter_jars", "reporter_options", "warn_unheard"]

_LOGGER = logging.getLogger("sightflow")

_PROMETHEUS = "org.apache.flink.metrics.prometheus.LoopbackReporterFactory"
_OTLP = "org.apache.flink.metrics.otel.OpenTelemetryMetricReporterFactory"
_OTLP_PATH = "/v1/metrics"
_OTLP_EVERY = "5 s"
_OTLP_TIMEOUT_S = 5
"""The end of a job waits so long for a receiver that does not answer."""
_LEAVING_S = 2.0
_ANSWER_S = 1.0


def reporter_jars() -> list[str]:
    """Return the jars of all reporters. They come last on the class path of Java.

    It still starts from its archive of classes, and opens them when one is asked for.
    """
    plugins = Path(_find_flink_home(), "plugins")
    found = (
        jar for kind in ("prometheus", "otel") for jar in plugins.glob(f"metrics-{kind}/*.jar")
    )
    return [str(jar) for jar in found]


def reporter_options(settings: RunSettings) -> dict[str, str]:
    """Return the options of Flink for the reporters that are asked for."""
    options: dict[str, str] = {}
    if settings.metrics_port is not None:
        options |= {
            "metrics.reporter.prometheus.factory.class": _PROMETHEUS,
            "metrics.reporter.prometheus.port": str(settings.metrics_port),
            "metrics.reporter.prometheus.filterLabelValueCharacters": "false",
        }
    if settings.otlp_url is not None:
        options |= {
            "metrics.reporter.otlp.factory.class": _OTLP,
            "metrics.reporter.otlp.exporter.protocol": "HTTP",
            "metrics.reporter.otlp.exporter.endpoint": _endpoint(settings.otlp_url),
            "metrics.reporter.otlp.interval": _OTLP_EVERY,
            "metrics.reporter.otlp.exporter.timeout": f"{_OTLP_TIMEOUT_S} s",
            "metrics.reporter.otlp.export-completion-timeout-millis": str(_OTLP_TIMEOUT_S * 1000),
            "metrics.reporter.otlp.service.name": "sightflow",
        }
    return options


def _endpoint(url: str) -> str:
    """Return where metrics are sent: a URL without a path is that of a collector."""
    parts = urlsplit(url)
    return url if parts.path.strip("/") else parts._replace(path=_OTLP_PATH).geturl()


def warn_unheard(url: str | None) -> None:
    """Log a warning if nothing listens where metrics are sent; it may come later."""
    if url is None:
        return
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((host, port), timeout=_ANSWER_S).close()
    except OSError as error:
        _LOGGER.warning(
            "nothing answers at %s:%d, where the metrics go (%s); they are lost until something "
            "does",
            host,
            port,
            error.strerror or error,
        )


def check_port(port: int | None, use: str) -> None:
    """Raise `SetupError` if something else answers on a port of the loopback address.

    An earlier job of this process may be about to leave it, which takes a moment.
    """
    deadline = time.monotonic() + _LEAVING_S
    while (why := _taken(port or 0)) is not None:
        if time.monotonic() >= deadline:
            raise SetupError(
                f"port {port} of 127.0.0.1 must be free for {use}; {why}; choose another"
            )
        time.sleep(0.05)


def _taken(port: int) -> str | None:
    """Return why a port cannot be had, or None."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.strerror
    return None
