"""Metrics of real runs: as they are scraped, as page, dashboard and alerts name them."""

import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml
from pyflink.find_flink_home import _find_flink_home
from tests.classifiers import save_colour_classifier, save_colours
from tests.cluster import Cluster
from tests.docs.pages import ROOT
from tests.lessons import lessons, taught
from tests.networks import Thumbnails
from tests.pictures import fill_folder
from tests.prometheus import Prometheus, Receiver, Scraper, command, free_ports, metric_names
from tests.rtsp_server import Camera
from tests.steps import Bright, Count, Slow
from tests.streams import Offered
from tools.grafana import DASHBOARD, OURS, text

from sightflow import Classify, Directory, JsonLines, Live, Pipeline, RunSettings, run, submit
from sightflow.errors import SetupError
from sightflow.learn.evaluate import Evaluate
from sightflow.learn.train import Train
from sightflow.models import DataRange, Facts, Registry, find_model
from sightflow.sources.joined import Joined
from sightflow.sources.jsonlabels import JsonLabels

pytestmark = pytest.mark.flink

PAGE = (ROOT / "docs" / "how-to" / "metrics.md").read_text("utf-8")
PROMETHEUS = ROOT / "deploy" / "prometheus"
ALERTS = yaml.safe_load((PROMETHEUS / "alerts.yaml").read_text("utf-8"))
PANELS = [
    (panel["title"], target["expr"])
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    for target in panel.get("targets", ())
]
RULES = [(rule["alert"], rule["expr"]) for group in ALERTS["groups"] for rule in group["rules"]]


@dataclass(frozen=True)
class Seen:
    """What was seen of several runs, one after the other on one port."""

    scraper: Scraper
    receiver: Receiver
    prometheus: Prometheus | None
    started: float
    ended: float


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Run pipelines that have all metrics between them, before everybody who can see them."""
    folder, started = tmp_path_factory.mktemp("metrics"), time.time()
    (port,) = free_ports(1)
    scraper, receiver = Scraper(port), Receiver()
    with ExitStack() as watching:
        prometheus = None
        if shutil.which("prometheus"):
            prometheus = watching.enter_context(Prometheus(folder, port).running())
        watching.enter_context(receiver.running())
        with scraper.watching():
            how = RunSettings(
                workers=2,
                metrics_port=port,
                otlp_url=receiver.url,
                checkpoint_interval_ms=300,
            )
            for follow in (_pictures, _camera, _lessons, _labels):
                (folder / follow.__name__).mkdir()
                follow(folder / follow.__name__, how, scraper)
        yield Seen(scraper, receiver, prometheus, started, time.time())


def _pictures(folder: Path, how: RunSettings, scraper: Scraper) -> None:
    """Classify pictures by a model that is replaced; one is broken, others come too late."""
    model = find_model(save_colour_classifier(folder / "colours.onnx"))
    registry = Registry(str(folder / "models"))
    for step in (1, 2):
        facts = Facts("run", step, step, DataRange(0, 0, step))
        onnx = Path(model.path).read_bytes()
        registry.publish("colours", onnx=onnx, weights=b"w", card=model.card, facts=facts)
    registry.promote("colours", 1, reason="first")
    photos = [Path(save_colours(folder / f"photos-{i}", 55)) for i in range(8)]
    (photos[0] / "cut.png").write_bytes((photos[0] / "000.png").read_bytes()[:50])
    for i, path in enumerate(sorted(photos[1].iterdir())):
        os.utime(path, (1_000_000 - i, 1_000_000 - i))
    pipeline = (
        Pipeline(Directory(tuple(map(str, photos))), name="pictures")
        .apply("slow", Slow(0.03))
        .apply("classify", Classify(model=find_model(f"{registry.url}/colours"), follow=True))
        .apply("count", Count())
        .write("results", JsonLines(str(folder / "out.jsonl")))
    )

    def promote(ledger, n_images) -> None:
        if ledger.read > 40:
            registry.promote("colours", 2, reason="better")

    run(pipeline, how, on_progress=promote)


def _camera(folder: Path, how: RunSettings, scraper: Scraper) -> None:
    """Follow a camera whose connection is lost."""
    with Camera() as camera:
        source = Live(camera.url(), source_id="gate, süd", first_wait_s=0.1)
        pipeline = Pipeline(source, name="camera").apply("bright", Bright())
        lost: list[int] = []

        def unplug(ledger, n_images) -> None:
            if ledger.read > 40 and not lost:
                camera.unplug()
                time.sleep(0.2)
                camera.plug_in()
                lost.append(ledger.read)

        def is_enough() -> bool:
            return bool(scraper.values(f"{OURS}gap_us_count"))

        out = JsonLines(str(folder / "out.jsonl"))
        run(pipeline.write("results", out), how, on_progress=unplug, stop=is_enough)


def _lessons(folder: Path, how: RunSettings, scraper: Scraper) -> None:
    """Train a network, and test it and what finds objects."""
    run(taught(lessons(folder / "pictures", 60), folder, "out", Slow(0.05)), how)


def _labels(folder: Path, how: RunSettings, scraper: Scraper) -> None:
    """Learn from labels that come later, for some images never, and for images that are none."""
    told = [
        {"source_id": "nowhere" if i % 2 else "photos", "sequence": i, "label": "red"}
        for i in range(60)
    ]
    told[50]["label"] = None
    path = folder / "labels.jsonl"
    path.write_text("".join(json.dumps(label) + "\n" for label in told))
    images = Offered(10_000, interval_s=0.05)
    source = Joined(images, JsonLabels(str(path), follow=False), max_waiting=20)
    train = Train(("red", "none"), network=Thumbnails(), batch_size=8, report_every=1)
    pipeline = Pipeline(source, name="labels").apply("train", train)
    pipeline = pipeline.apply("evaluate", Evaluate(train.labels))

    def is_enough() -> bool:
        counts = ("labels_joined", "labels_unmatched", "images_without_label", "images_let_go")
        return all(scraper.values(f"{OURS}{name}") for name in counts)

    out = JsonLines(str(folder / "out.jsonl"))
    run(pipeline.write("results", out), how, stop=is_enough)


def test_every_metric_of_the_page_is_in_a_scrape(seen: Seen) -> None:
    named = metric_names(PAGE)
    assert len(named) >= 40
    assert {name for name in named if not name.endswith("_")} - set(seen.scraper.series) == set()


def test_every_metric_of_ours_in_a_scrape_is_on_the_page(seen: Seen) -> None:
    ours = {name for name in seen.scraper.series if name.startswith(OURS)}
    assert len(ours) >= 35
    assert {name.removesuffix("_count") for name in ours} - metric_names(PAGE) == set()


def test_the_ledger_of_a_scrape_balances_but_for_what_is_just_entered(seen: Seen) -> None:
    of_pictures = {
        name: seen.scraper.values(f"{OURS}{name}", job_name="pictures", operator_name="deliver")
        for name in ("read", "recognised", "rejected", "skipped")
    }
    (n_read,), (n_recognised,), (n_rejected,), (n_skipped,) = of_pictures.values()
    assert abs(n_read - n_recognised - n_rejected - n_skipped) <= 32
    assert 300 < n_read <= 441


def test_labels_say_why_images_were_rejected(seen: Seen) -> None:
    name = f"{OURS}step_reason_rejected"
    assert seen.scraper.values(name, step="decode", reason="corrupt", job_name="pictures") == [1]
    (n_late,) = seen.scraper.values(name, step="count", reason="late")
    assert 1 <= n_late <= 55


def test_labels_say_which_version_of_a_model_is_in_use(seen: Seen) -> None:
    name = f"{OURS}step_model_version_in_use"
    for version in ("1", "2"):
        used = seen.scraper.values(name, step="classify", model="colours", version=version)
        assert used == [1], "each while it was used"


def test_the_newest_image_of_a_camera_has_its_time_and_its_name_as_it_is(seen: Seen) -> None:
    name = f"{OURS}source_id_newest_event_time_ms"
    (time_ms,) = seen.scraper.values(name, source_id="gate, süd")
    assert seen.started < time_ms / 1000 < seen.ended
    jobs = {dict(labels)["job_name"] for labels in seen.scraper.series[name]}
    assert "pictures" not in jobs, "a picture in a folder may be years old"


def test_a_distribution_has_its_quantiles(seen: Seen) -> None:
    (half,) = seen.scraper.values(f"{OURS}latency_us", job_name="camera", quantile="0.5")
    (most,) = seen.scraper.values(f"{OURS}latency_us", job_name="camera", quantile="0.99")
    assert 0 < half <= most < 60_000_000


@pytest.mark.parametrize(("title", "query"), [*PANELS, *RULES])
def test_dashboard_and_alerts_name_metrics_that_are_in_a_scrape(
    title: str, query: str, seen: Seen
) -> None:
    named = metric_names(query)
    assert named or query.startswith("up{")
    assert named - set(seen.scraper.series) == set()


@pytest.mark.parametrize(("title", "query"), PANELS)
def test_each_panel_shows_something(title: str, query: str, seen: Seen) -> None:
    command("prometheus")
    assert seen.prometheus is not None
    asked = query.replace("$__rate_interval", "5s").replace("$job", ".*")
    assert seen.prometheus.values(asked, seen.started, seen.ended)


def test_the_numbers_of_a_panel_are_those_of_the_run(seen: Seen) -> None:
    command("prometheus")
    assert seen.prometheus is not None
    panels = dict(PANELS)
    accuracy = seen.prometheus.values(
        panels["Accuracy"].replace("$job", ".*"), seen.started, seen.ended
    )
    assert all(0 <= share <= 1 for share in accuracy)
    age = panels["Age of the newest image"].replace("$job", ".*")
    ages = seen.prometheus.values(age, seen.started, seen.ended)
    assert min(a for a in ages if a < 1e6) < 10, "seconds, of a camera"


def test_a_receiver_of_opentelemetry_gets_the_same(seen: Seen) -> None:
    points = seen.receiver.points
    assert seen.receiver.services == {"sightflow"}
    ours = {name.rpartition(".sightflow.")[2] for name in points if ".sightflow." in name}
    assert {"records_in", "decode_us", "read"} <= ours
    (name,) = (name for name in points if name.endswith("step.model.version.in_use"))
    models = {dict(labels).get("model") for labels in points[name]}
    assert "colours" in models


def test_the_dashboard_is_what_its_tool_writes() -> None:
    assert DASHBOARD.read_text("utf-8") == text()


def test_the_dashboard_can_be_imported() -> None:
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    assert "__inputs" not in dashboard
    assert dashboard["schemaVersion"] >= 38, "of Grafana 10"
    assert [v["name"] for v in dashboard["templating"]["list"]] == ["datasource", "job"]
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells), "no panel covers another"
    assert max(x for x, _ in cells) < 24
    used = {target["datasource"]["uid"] for p in panels for target in p.get("targets", ())}
    assert used == {"${datasource}"}


def test_promtool_takes_the_configuration_and_the_alerts() -> None:
    promtool = command("promtool")
    subprocess.run([promtool, "check", "config", PROMETHEUS / "prometheus.yaml"], check=True)
    subprocess.run([promtool, "check", "rules", PROMETHEUS / "alerts.yaml"], check=True)


def test_alerts_come_when_they_should() -> None:
    tests = PROMETHEUS / "alerts_test.yaml"
    subprocess.run([command("promtool"), "test", "rules", tests], check=True)
    tested = yaml.safe_load(tests.read_text("utf-8"))["tests"]
    fires = {a["alertname"] for t in tested for a in t["alert_rule_test"] if a.get("exp_alerts")}
    quiet = {a["alertname"] for a in tested[0]["alert_rule_test"]}
    assert fires == quiet == {name for name, _ in RULES}


def test_a_port_that_is_taken_is_told_before_the_job_starts(tmp_path: Path) -> None:
    pipeline = Pipeline(Directory(str(tmp_path))).apply("bright", Bright())
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = RunSettings(metrics_port=other.getsockname()[1])
        with pytest.raises(SetupError, match=r"must be free for the metrics; .* choose another"):
            run(pipeline.write("out", JsonLines(str(tmp_path / "out.jsonl"))), settings)


def test_a_port_that_is_taken_as_the_job_starts_fails_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given another process that takes the port after it was found free
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr("sightflow.flink.run.check_port", lambda port, use: None)
        pipeline = Pipeline(Offered(10_000, interval_s=0.01)).apply("bright", Bright())
        pipeline = pipeline.write("out", JsonLines(str(tmp_path / "out.jsonl")))
        message = f"port {port} of 127.0.0.1 .* another process took it .* choose another"
        with pytest.raises(SetupError, match=message):
            run(pipeline, RunSettings(workers=1, metrics_port=port))


def test_a_run_without_a_receiver_says_so_and_goes_on(
    tmp_path: Path, free_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    photos = fill_folder(tmp_path / "photos", 3)
    pipeline = Pipeline(Directory(str(photos))).apply("bright", Bright())
    settings = RunSettings(workers=1, otlp_url=f"http://127.0.0.1:{free_port}")
    with caplog.at_level(logging.WARNING, "sightflow"):
        summary = run(pipeline.write("out", JsonLines(str(tmp_path / "out.jsonl"))), settings)
    assert (summary.ledger.recognised, summary.ledger.rejected) == (4, 2)
    assert f"nothing answers at 127.0.0.1:{free_port}" in caplog.text


def _addresses(pid: int, port: int) -> set[str]:
    """Return the addresses on which what a process started has a port open."""
    found = set()
    with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
        for child in psutil.Process(pid).children(recursive=True):
            found |= {c.laddr.ip for c in child.net_connections() if c.laddr.port == port}
    return found


def test_the_command_listens_on_the_loopback_address_only(tmp_path: Path, free_port: int) -> None:
    photos = fill_folder(tmp_path / "photos", 400)
    sightflow = str(Path(sys.executable).parent / "sightflow")
    out = str(tmp_path / "out.jsonl")
    asked = ["classify", str(photos), "--out", out, "--metrics", str(free_port)]
    process = subprocess.Popen([sightflow, *asked], stderr=subprocess.PIPE, text=True)
    addresses = set()
    try:
        deadline = time.monotonic() + 60
        while not addresses and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
            addresses = _addresses(process.pid, free_port)
    finally:
        process.terminate()
        _, stderr = process.communicate(timeout=60)
    assert {address.removeprefix("::ffff:") for address in addresses} == {"127.0.0.1"}
    assert f"http://127.0.0.1:{free_port}/metrics" in stderr


def test_a_cluster_reports_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = re.findall(r"^(metrics\.reporter\.otlp\.[\w.]+): (.*)$", PAGE, re.MULTILINE)
    monkeypatch.setenv("FLINK_PLUGINS_DIR", str(Path(_find_flink_home(), "plugins")))
    with Receiver().running() as receiver:
        options = dict(said) | {
            "metrics.reporter.otlp.exporter.endpoint": f"{receiver.url}/v1/metrics",
            "metrics.reporter.otlp.interval": "1 s",
        }
        with Cluster(tmp_path / "cluster", taskmanagers=1, options=options) as cluster:
            photos = Offered(10_000, interval_s=0.01)
            pipeline = Pipeline(photos, name="there").apply("bright", Bright())
            submit(
                pipeline,
                RunSettings(workers=1),
                rest_url=cluster.rest_url,
                packages=(str(ROOT / "tests"),),
            )
            deadline = time.monotonic() + 60
            names = set[str]()
            while {"read", "records_in"} - names and time.monotonic() < deadline:
                time.sleep(0.2)
                names = {name.rpartition(".sightflow.")[2] for name in list(receiver.points)}
            assert {"read", "records_in"} <= names, cluster.logs()
