"""Pipelines on a real cluster: JobManager, two TaskManagers and ZooKeeper, each a process."""

import importlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from tests.classifiers import save_colour_classifier, save_colours
from tests.cluster import Cluster
from tests.streams import Offered

from sightflow import Classify, Pipeline, RunSettings, find_model
from sightflow import submit as submit_pipeline
from sightflow.cli import cli
from sightflow.errors import JobError, PipelineError, SetupError
from sightflow.flink import jobs
from sightflow.flink.rest import Rest
from sightflow.flink.submit import Submitted
from sightflow.records.ledger import Ledger
from sightflow.sinks.dataset import Dataset

pytestmark = pytest.mark.flink

ROOT = Path(__file__).resolve().parents[2]
OFTEN = 300
"""Milliseconds between checkpoints."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Start a cluster whose TaskManagers know nothing of this folder of tests."""
    folder = tmp_path_factory.mktemp("cluster")
    with Cluster(folder, highly_available=True, python_path="") as running:
        yield running


@pytest.fixture(autouse=True)
def free_slots(request):
    """Cancel what a test left running, and wait until its slots are free."""
    yield
    if "cluster" not in request.fixturenames:
        return
    cluster = request.getfixturevalue("cluster")
    rest = Rest(cluster.rest_url)
    for job in jobs.list_jobs(rest):
        if job["state"] not in ("FINISHED", "CANCELED", "FAILED"):
            jobs.cancel(rest, job["id"])
    wait(lambda: rest.get("/overview")["slots-available"] == 4, cluster)


@pytest.fixture
def model(tmp_path):
    """Return a model that does not ship."""
    return find_model(save_colour_classifier(tmp_path / "colours.onnx"))


def wait(is_so: Callable[[], bool], cluster: Cluster, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, cluster.logs()
        time.sleep(0.1)


def submit(cluster: Cluster, pipeline: Pipeline, workers: int = 2, **more: Any) -> Submitted:
    settings = RunSettings(workers=workers, checkpoint_interval_ms=OFTEN)
    return submit_pipeline(
        pipeline, settings, rest_url=cluster.rest_url, packages=(str(ROOT / "tests"),), **more
    )


def call(cluster: Cluster, *words: str) -> str:
    """Call the command; return what it prints."""
    done = CliRunner().invoke(cli, [*words, "--rest", cluster.rest_url], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def ledger_of(cluster: Cluster, job_id: str) -> Ledger:
    (row,) = [row for row in jobs.list_jobs(Rest(cluster.rest_url)) if row["id"] == job_id]
    return Ledger(**{name: row[name] or 0 for name in asdict(Ledger())})


def metric_of(cluster: Cluster, job_id: str, name: str) -> float:
    """Return the value of a metric of the box that delivers."""
    for vertex in cluster.get(f"/jobs/{job_id}")["vertices"]:
        path = f"/jobs/{job_id}/vertices/{vertex['id']}/subtasks/metrics"
        known = [one["id"] for one in cluster.get(path)]
        for found in (one for one in known if one.endswith(f"deliver.sightflow.{name}")):
            return float(cluster.get(f"{path}?get={found}")[0]["sum"])
    return 0


def numbers_in(folder: Path) -> list[int]:
    """Return the numbers of the pictures whose results have appeared."""
    parts = (folder / "results").glob("*.parquet")
    return sorted(n for part in parts for n in pq.read_table(part)["sequence"].to_pylist())


def watched(source: Any, model: Any, name: str = "stream") -> Pipeline:
    return Pipeline(source, name=name).apply("classify", Classify(model))


def test_a_folder_is_recognised_and_its_ledger_stays(cluster, tmp_path):
    save_colours(tmp_path / "photos", 40)
    (tmp_path / "photos" / "broken.jpg").write_text("no picture")
    save_colour_classifier(tmp_path / "colours.onnx")
    (tmp_path / "pipeline.yaml").write_text(
        "name: colours\n"
        'source: {kind: Directory, paths: "${data}"}\n'
        f'steps: [{{name: classify, kind: Classify, model: "{tmp_path}/colours.onnx"}}]\n'
    )
    words = ["submit", str(tmp_path / "pipeline.yaml"), "--data", str(tmp_path / "photos")]
    job_id = call(cluster, *words, "--shared", str(tmp_path)).splitlines()[0]
    cluster.wait_for_state(job_id, "FINISHED")

    row, *_ = map(json.loads, call(cluster, "jobs", "--json").splitlines())
    assert (row["id"], row["name"], row["state"]) == (job_id, "colours", "FINISHED")
    assert [row[name] for name in asdict(Ledger())] == [41, 40, 1, 0]
    assert row.keys() == set(jobs.COLUMNS)
    assert "colours" in call(cluster, "jobs")


def test_a_stream_is_saved_and_goes_on_with_more_workers_and_another_option(cluster, model):
    source = Offered(500, interval_s=0.005, broken=(3,), missing=(400,))
    pipeline = watched(source, model, "gate")
    first = submit(cluster, pipeline)
    wait(lambda: ledger_of(cluster, first.job_id).read > 50, cluster)
    wait(lambda: metric_of(cluster, first.job_id, "recognised") > 50, cluster)
    savepoint = call(cluster, "savepoint", "gate", "--stop").strip()
    stopped = ledger_of(cluster, first.job_id)
    assert cluster.wait_for_state(first.job_id, "FINISHED") == "FINISHED"
    assert 50 < stopped.read < 500, "the job was to be stopped in the middle"

    changed = Pipeline(source, name="gate").apply("classify", Classify(model, top_k=1))
    with pytest.raises(PipelineError, match=r"savepoint-.*: the state is of another.*`top_k` of"):
        submit(cluster, changed, workers=4, from_savepoint=savepoint)
    second = submit(cluster, changed, workers=4, from_savepoint=savepoint, upgrade=True)
    wait(lambda: ledger_of(cluster, second.job_id).read >= 500, cluster)
    assert ledger_of(cluster, second.job_id) == Ledger(500, 498, 2, 0)
    assert "cancelled" in call(cluster, "cancel", second.job_id[:8])
    assert cluster.wait_for_state(second.job_id, "CANCELED") == "CANCELED"


def test_a_killed_taskmanager_loses_nothing_and_leaves_no_process(cluster, model, tmp_path):
    out = tmp_path / "out"
    pipeline = watched(Offered(1500, interval_s=0.005), model).write("out", Dataset(str(out)))
    job_id = submit(cluster, pipeline, workers=4, shared=(str(tmp_path),)).job_id
    wait(lambda: ledger_of(cluster, job_id).read > 50, cluster)
    lost = psutil.Process(cluster.pids[next(n for n in cluster.pids if "taskmanager" in n)])
    below = lost.children(recursive=True)
    cluster.kill_taskmanager()
    assert not lost.is_running()
    cluster.start_taskmanager()
    wait(lambda: ledger_of(cluster, job_id).read >= 1500, cluster)

    assert ledger_of(cluster, job_id) == Ledger(1500, 1500, 0, 0)
    assert [child for child in below if child.is_running()] == []
    assert cluster.descendants() == [], "Python is in the TaskManager, not below it"
    wait(lambda: len(numbers_in(out)) >= 1500, cluster)
    assert numbers_in(out) == list(range(1500)), "each is in the output once"


def test_a_killed_jobmanager_is_followed_by_another_that_goes_on(cluster, model, tmp_path):
    pipeline = watched(Offered(1200, interval_s=0.005), model)
    job_id = submit(cluster, pipeline, state_dir=tmp_path.as_uri()).job_id
    wait(lambda: ledger_of(cluster, job_id).read > 50, cluster)
    cluster.kill_jobmanager()
    cluster.start_jobmanager()
    cluster.wait_for_state(job_id, "RUNNING")
    wait(lambda: ledger_of(cluster, job_id).read >= 1200, cluster)
    assert ledger_of(cluster, job_id) == Ledger(1200, 1200, 0, 0)
    assert list((tmp_path / "checkpoints" / job_id).glob("chk-*")), "its state is where it was told"


def test_a_job_that_fails_as_it_starts_is_cancelled_and_says_why(
    cluster, model, tmp_path, monkeypatch
):
    (tmp_path / "lenses.py").write_text(
        "from tests.streams import Offered\nclass Wide(Offered): ..."
    )
    monkeypatch.syspath_prepend(tmp_path)
    wide = importlib.import_module("lenses").Wide(9)
    with pytest.raises(JobError, match=r"cancelled: .*No module named 'lenses'"):
        submit(cluster, watched(wide, model))
    assert jobs.list_jobs(Rest(cluster.rest_url))[0]["state"] == "CANCELED"


def test_an_error_of_a_source_has_its_traceback(cluster, model):
    job_id = submit(cluster, watched(Offered(999, interval_s=0.01, failing=400), model)).job_id
    rest = Rest(cluster.rest_url)
    wait(lambda: jobs.failure_of(rest, job_id) is not None, cluster)
    why = jobs.failure_of(rest, job_id) or ""
    assert why.startswith("OSError: the cable is cut\nTraceback")


def test_too_few_slots_are_said(cluster, model):
    with pytest.raises(SetupError, match="needs 5 slots, and 4 of 4 are free; start more"):
        submit(cluster, watched(Offered(9), model), workers=5)


@pytest.mark.parametrize("words", ["nothing", "0000"])
def test_a_job_that_is_not_there_is_said(words, cluster):
    with pytest.raises(JobError, match=f"job '{words}': none is called so in http"):
        jobs.find_job(Rest(cluster.rest_url), words)


def test_a_savepoint_into_a_folder_that_cannot_be_written_is_said(cluster, model):
    job_id = submit(cluster, watched(Offered(900, interval_s=0.01), model)).job_id
    with pytest.raises(JobError, match=f"no savepoint of job {job_id}: "):
        jobs.save(Rest(cluster.rest_url), job_id, folder="file:///proc/here", stop=False)


def test_no_cluster_is_said(free_port, model):
    with pytest.raises(SetupError, match=f"http://127.0.0.1:{free_port}: no Flink cluster"):
        submit_pipeline(watched(Offered(9), model), rest_url=f"http://127.0.0.1:{free_port}")
