"""Settings have working defaults and refuse numbers that cannot be."""

import os
from typing import Any

import pytest

from sightflow.errors import PipelineError
from sightflow.runners import run
from sightflow.settings import RunSettings, n_cores
from sightflow.sources.directory import Directory


def test_the_defaults_run_on_flink_with_a_worker_for_each_core() -> None:
    settings = RunSettings()
    assert (settings.runner, settings.workers, settings.restart_attempts) == ("flink", None, 0)


def test_cores_are_those_that_this_process_may_use() -> None:
    assert n_cores() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("name", ["workers", "batch_size", "max_pixels", "checkpoint_interval_ms"])
def test_counts_are_from_1(name: str) -> None:
    values: dict[str, Any] = {name: 1}
    RunSettings(**values)
    with pytest.raises(PipelineError, match=f"RunSettings: `{name}` is a whole number from 1; got"):
        RunSettings(**{**values, name: 0})


def test_restarts_are_from_0() -> None:
    with pytest.raises(PipelineError, match="`restart_attempts` is a whole number from 0; got -1"):
        RunSettings(restart_attempts=-1)


def test_an_unknown_runner_is_refused() -> None:
    from sightflow.pipeline import Pipeline

    with pytest.raises(PipelineError, match="`runner` is one of flink, inline; got 'spark'"):
        run(Pipeline(Directory("photos")), RunSettings(runner="spark"))


@pytest.mark.parametrize(
    ("cores", "workers", "max_wait_ms", "n_threads"),
    [(8, 8, None, 1), (8, 4, None, 5), (8, 1, None, 8), (2, 4, None, 1), (8, 8, 5.0, 8)],
)
def test_workers_share_the_cores_that_they_leave(
    cores: int,
    workers: int,
    max_wait_ms: float | None,
    n_threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sightflow.settings.n_cores", lambda: cores)
    assert RunSettings(max_wait_ms=max_wait_ms).inference(workers).n_threads == n_threads


def test_inline_has_no_checkpoints_to_keep() -> None:
    with pytest.raises(PipelineError, match="`state_dir` needs the runner flink"):
        RunSettings(runner="inline", state_dir="state")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"upgrade": True}, "`upgrade` goes on from a `state_dir`; name it"),
        ({"drop_state": ("gate",), "state_dir": "state"}, "`drop_state` goes with `upgrade`"),
    ],
)
def test_an_upgrade_needs_a_state_and_what_is_dropped_an_upgrade(options, message) -> None:
    with pytest.raises(PipelineError, match=message):
        RunSettings(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics_port": 9249, "runner": "inline"}, "`metrics_port` needs the runner flink"),
        ({"otlp_url": "http://a", "runner": "inline"}, "`otlp_url` needs the runner flink"),
        ({"metrics_port": 0}, "`metrics_port` is a whole number from 1 to 65535; got 0"),
        ({"metrics_port": 8081, "web_ui_port": 8081}, "are two ports; got 8081 for both"),
        ({"otlp_url": "127.0.0.1:4318"}, "such as http://127.0.0.1:4318; got '127.0.0.1:4318'"),
        ({"otlp_url": "grpc://a:4317"}, "a receiver of OTLP over HTTP"),
        ({"otlp_url": "http://a with blanks"}, "got 'http://a with blanks'"),
        ({"otlp_url": "http://a:4318/v1/metrics of b"}, "got 'http://a:4318/v1/metrics of b'"),
        ({"otlp_url": "http://a:99999"}, "got 'http://a:99999'"),
        ({"otlp_url": "http://:4318"}, "got 'http://:4318'"),
    ],
)
def test_metrics_that_nobody_could_see_are_refused(options, message) -> None:
    with pytest.raises(PipelineError, match=message):
        RunSettings(**options)
