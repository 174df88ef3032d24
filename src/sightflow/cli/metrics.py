"""Who sees the metrics of a run: the options of all commands that run a pipeline on Flink."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from sightflow.cli.fields import given

if TYPE_CHECKING:
    from sightflow.settings import RunSettings

__all__ = ["metrics_options", "metrics_settings", "tell_where_to_look"]

metrics_options = (
    click.option(
        "--metrics",
        "metrics_port",
        type=click.IntRange(1, 65535),
        metavar="PORT",
        help="Let Prometheus scrape the job on this port of 127.0.0.1 while it runs.",
    ),
    click.option(
        "--otlp",
        "otlp_url",
        metavar="URL",
        help="Send its metrics there by OTLP over HTTP, such as http://127.0.0.1:4318.",
    ),
)


def metrics_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return who sees the metrics of a call, as `RunSettings` have it."""
    return given(options, "metrics_port", "otlp_url")


def tell_where_to_look(settings: "RunSettings") -> None:
    """Say where Flink's page and the metrics will be."""
    if settings.web_ui_port:
        print(f"Flink's page will be at http://127.0.0.1:{settings.web_ui_port}", file=sys.stderr)
    if settings.metrics_port:
        url = f"http://127.0.0.1:{settings.metrics_port}/metrics"
        print(f"the metrics will be at {url}", file=sys.stderr)
