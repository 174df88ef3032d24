"""examples/plugin is installed as it is and used in every way, without a change of Sightflow."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from tests.docs.pages import ROOT, blocks, links, table

import sightflow
from sightflow import testing
from sightflow.kinds import GROUPS, known_kinds

PLUGIN = ROOT / "examples" / "plugin"
README = PLUGIN / "README.md"
GROUP_NAMES = {f"sightflow.{group}" for group in GROUPS}
PLACES = {
    "RejectPoor": "sightflow_plugin_example.quality:RejectPoor",
    "PictureTable": "sightflow_plugin_example.table:PictureTable",
    "BestClassCsv": "sightflow_plugin_example.spreadsheet:BestClassCsv",
    "npz": "sightflow_plugin_example.linear:Npz",
}
BEST = [("1", "red"), ("3", "green"), ("4", "blue")]
"""Row in the table and class of the pictures that are good enough."""

FILL = """
import numpy as np
from sightflow.testing import draw_scene, encode_image
from sightflow_plugin_example.linear import save_linear
from sightflow_plugin_example.table import add_picture
from pathlib import Path

save_linear(Path("colours.npz"), 9 * np.repeat(np.eye(3), 16, axis=0), np.zeros(3))
noise = np.random.default_rng(0).integers(0, 60, (48, 64, 3))
Path("photos").mkdir()
for i, colour in enumerate(["red", None, "green", "blue"]):
    pixels = noise.copy()
    pixels[..., ["red", "green", "blue"].index(colour or "red")] += 180
    pixels = pixels if colour else np.full_like(pixels, 120)
    data = encode_image(pixels.astype(np.uint8), "PNG")
    add_picture("pictures.db", f"{i}.png", 1000 * i, data)
    Path(f"photos/{i}.png").write_bytes(data)
"""

PYTHON = """
from sightflow import Classify, Pipeline, RunSettings, find_model, run
from sightflow_plugin_example.quality import RejectPoor
from sightflow_plugin_example.spreadsheet import BestClassCsv
from sightflow_plugin_example.table import PictureTable

pipeline = (
    Pipeline(PictureTable("pictures.db"))
    .apply("quality", RejectPoor(min_sharpness=30))
    .apply("classify", Classify(find_model("colours.npz")))
    .write("best", BestClassCsv("best.csv"))
)
summary = run(pipeline, RunSettings(runner="inline"))
assert (summary.ledger.recognised, summary.ledger.rejected) == (3, 1), summary
"""


@dataclass(frozen=True)
class Installed:
    """A fresh folder to work in, and where the package is installed."""

    site: Path
    place: Path

    def python(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run Python with the package; return what it printed."""
        source = str(Path(sightflow.__file__).parents[1])
        path = os.pathsep.join((str(self.site), source))
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd or self.place,
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def sightflow(self, *arguments: str) -> str:
        """Call the command."""
        return self.python("-c", "from sightflow.cli import main; main()", *arguments)

    def best(self) -> list[tuple[str, str]]:
        """Return row and class of each image in the CSV file."""
        heading, *lines = (self.place / "best.csv").read_text("utf-8").splitlines()
        assert heading == "uri,label,score"
        cells = [line.split(",") for line in lines]
        return [(uri.rpartition("#")[2], label) for uri, label, _ in cells]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(PLUGIN, folder / "plugin", ignore=shutil.ignore_patterns("__pycache__"))
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index")
    how = ("--no-deps", "--no-build-isolation", "--target", str(folder / "site"))
    command = [sys.executable, *pip, *how, str(folder / "plugin")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "site"


@pytest.fixture
def installed(site: Path, tmp_path: Path) -> Installed:
    found = Installed(site, tmp_path)
    found.python("-c", FILL)
    _, card = blocks("yaml", README)
    (tmp_path / "colours.yaml").write_text(card.text, "utf-8")
    return found


def write_pipeline(place: Path, *, runner: str, by_place: bool = False) -> str:
    """Write the pipeline of the README, with kinds by their names or by their places."""
    pipeline, _ = blocks("yaml", README)
    described = yaml.safe_load(pipeline.text)
    parts = [described["source"], *described["steps"], *described["sinks"]]
    for part in parts if by_place else ():
        part["kind"] = PLACES.get(part["kind"], part["kind"])
    if by_place:
        card = place / "colours.yaml"
        card.write_text(card.read_text().replace("backend: npz", f"backend: {PLACES['npz']!r}"))
    described["run"] = {"runner": runner, "workers": 2}
    (place / "job.yaml").write_text(yaml.safe_dump(described), "utf-8")
    return "job.yaml"


def test_the_package_is_not_known_without_being_installed() -> None:
    known = {kind for group in GROUPS for kind in known_kinds(group)}
    assert known & set(PLACES) == set()


def test_its_readme_names_each_of_its_kinds_and_leads_somewhere() -> None:
    shown = [row[:2] for row in table(str(README.relative_to(ROOT)), "sightflow-plugin-example")]
    lines = (PLUGIN / "pyproject.toml").read_text("utf-8")
    for kind, group in shown:
        entry = re.search(rf'entry-points."{group}"]\n{kind} = "(.*)"', lines)
        assert entry, f"{group} has no {kind}"
        assert entry[1] == PLACES[kind]
    assert {kind for kind, _ in shown} == set(PLACES)
    assert [target for target in links(README) if not (PLUGIN / target).exists()] == []


def test_the_how_to_has_every_group_of_entry_points_and_every_check() -> None:
    rows = table("docs/how-to/plugin.md", "Write kinds of your own")
    assert {row[1] for row in rows} == GROUP_NAMES
    checks = {name for name in testing.__all__ if name.startswith("check_")}
    assert {row[3] for row in rows} == checks
    code = "\n".join(block.text for block in blocks("python", ROOT / "docs/how-to/plugin.md"))
    assert {name for name in checks if f"{name}(" not in code} == set()


def test_other_pages_list_the_same_groups() -> None:
    assert {row[2] for row in table("CONTRIBUTING.md", "To add")} - {""} == GROUP_NAMES
    text = (ROOT / "docs/reference/pipelines.md").read_text("utf-8")
    _, _, section = text.partition("\n## Kinds of your own\n")
    registered = section.partition("A package can register a short name")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(sightflow\.\w+)`", registered)) == GROUP_NAMES


def test_its_own_tests_pass(installed: Installed) -> None:
    tests = installed.site.parent / "plugin"
    found = installed.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=tests)
    assert " passed" in found
    assert "skipped" not in found


def test_it_works_from_python(installed: Installed) -> None:
    installed.python("-c", PYTHON)
    assert installed.best() == BEST


@pytest.mark.parametrize("by_place", [False, True], ids=["by name", "by place"])
def test_it_works_from_yaml_and_the_command_line(installed: Installed, *, by_place: bool) -> None:
    file = write_pipeline(installed.place, runner="inline", by_place=by_place)
    installed.sightflow("run", file, "--check")
    installed.sightflow("run", file, "--quiet")
    assert installed.best() == BEST


def test_its_back_end_works_with_a_command_that_knows_nothing_of_it(installed: Installed) -> None:
    options = ("--model", "colours.npz", "--runner", "inline", "--out", "out.jsonl", "--quiet")
    installed.sightflow("classify", "photos", *options)
    lines = (installed.place / "out.jsonl").read_text().splitlines()
    labels = [json.loads(line)["classification"][0]["label"] for line in lines]
    assert labels == ["red", "red", "green", "blue"]


@pytest.mark.flink
def test_it_works_on_flink_with_the_same_output(installed: Installed) -> None:
    installed.sightflow("run", write_pipeline(installed.place, runner="flink"), "--quiet")
    there = (installed.place / "best.csv").read_bytes()
    (installed.place / "best.csv").unlink()
    installed.sightflow("run", write_pipeline(installed.place, runner="inline"), "--quiet")
    assert there == (installed.place / "best.csv").read_bytes()
    assert installed.best() == BEST
