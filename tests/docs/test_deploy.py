"""The files of deploy/ fit each other and what is required; no container was started here."""

import re
import zipfile
from importlib.metadata import requires
from pathlib import Path

import yaml
from pyflink.find_flink_home import _find_flink_home
from tests.docs.pages import ROOT

DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
SESSION = yaml.safe_load((ROOT / "deploy" / "session.yaml").read_text("utf-8"))
(FLINK,) = (
    line.partition("==")[2] for line in requires("sightflow") or () if line.startswith("apache-fl")
)
FIELDS = {
    "spec": "flinkConfiguration flinkVersion image imagePullPolicy ingress job jobManager "
    "logConfiguration mode podTemplate restartNonce serviceAccount taskManager",
    "jobManager": "podTemplate replicas resource",
    "taskManager": "podTemplate replicas resource",
    "resource": "cpu ephemeralStorage memory",
}
"""Of the operator's `v1beta1`."""


def test_the_cluster_has_fields_that_the_operator_knows():
    assert (SESSION["apiVersion"], SESSION["kind"]) == (
        "flink.apache.org/v1beta1",
        "FlinkDeployment",
    )
    spec = SESSION["spec"]
    parts = [("spec", spec), *((name, spec[name]) for name in ("jobManager", "taskManager"))]
    parts += [("resource", spec[name]["resource"]) for name in ("jobManager", "taskManager")]
    assert [set(part) - set(FIELDS[name].split()) for name, part in parts] == [set()] * 5
    assert all(isinstance(value, str) for value in spec["flinkConfiguration"].values())


def test_the_version_of_flink_is_ours_everywhere():
    major, minor, _ = FLINK.split(".")
    assert SESSION["spec"]["flinkVersion"] == f"v{major}_{minor}"
    assert set(re.findall(r"flink(?:-\w+)*[:-](\d[\d.]+\d)", DOCKERFILE)) == {FLINK}
    (container,) = SESSION["spec"]["podTemplate"]["spec"]["containers"]
    assert container["name"] == "flink-main-container"
    assert FLINK in container["env"][0]["value"]


def test_the_image_copies_what_is_there():
    (jar,) = re.findall(r"opt/(flink-python-[\d.]+\.jar)", DOCKERFILE)
    assert [path.name for path in Path(_find_flink_home()).glob("opt/flink-python*")] == [jar]
    (copied,) = re.findall(r"^COPY (.*) /", DOCKERFILE, re.MULTILINE)
    assert copied.split() == ["requirements.txt", "dist/sightflow-*.whl"]
    assert (ROOT / "requirements.txt").exists()
    version = SESSION["spec"]["image"].partition(":")[2]
    assert f'version = "{version}"' in (ROOT / "pyproject.toml").read_text("utf-8")


def test_the_cluster_reports_its_metrics_as_the_page_says():
    page = (ROOT / "docs" / "how-to" / "metrics.md").read_text("utf-8")
    said = dict(re.findall(r"^(metrics\.reporter\.[\w.]+): (.*)$", page, re.MULTILINE))
    has = {
        name: value
        for name, value in SESSION["spec"]["flinkConfiguration"].items()
        if name.startswith("metrics.")
    }
    port = "metrics.reporter.prometheus.port"
    assert {**has, port: ""} == {**{name: said[name] for name in has}, port: ""}
    (container,) = SESSION["spec"]["podTemplate"]["spec"]["containers"]
    assert has[port] == said[port].partition("-")[0] == str(container["ports"][0]["containerPort"])


def test_the_cluster_has_the_reporters_that_the_page_names():
    page = (ROOT / "docs" / "how-to" / "metrics.md").read_text("utf-8")
    factories = re.findall(r"factory\.class: (\S+)", page)
    jars = Path(_find_flink_home(), "plugins").glob("metrics-*/*.jar")
    classes = {name for jar in jars for name in zipfile.ZipFile(jar).namelist()}
    assert len(factories) == 2
    assert all(f"{factory.replace('.', '/')}.class" in classes for factory in factories)
