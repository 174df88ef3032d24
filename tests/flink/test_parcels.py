"""Functions of a job on another machine: unpacked by a Python that knows nothing of the client."""

import json
import pickle
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.classifiers import save_colour_classifier

from sightflow import find_model, zoo
from sightflow.errors import PipelineError, SetupError
from sightflow.flink import unpacking
from sightflow.flink.bundle import Bundle, pack_environment, pack_run
from sightflow.flink.failures import describe_failure
from sightflow.flink.parcels import Parcels
from sightflow.flink.runfiles import RunFiles
from sightflow.storage.naming import VIDEO_SUFFIXES

ROOT = Path(__file__).resolve().parents[2]
READ = """
import json, pickle, sys
told = []
for parcel, *path in json.loads(sys.stdin.read()):
    sys.path[:0] = path
    try:
        told.append(repr(pickle.loads(bytes.fromhex(parcel))))
    except RuntimeError as error:
        told.append(str(error))
print(json.dumps([told, getattr(sys.modules.get("sightflow"), "__file__", None)]))
"""
"""What a TaskManager does: Flink unpacks archives, puts their folders into the path, calls."""


def packed(folder: Path, run_id: str = "1", **more: Any) -> Bundle:
    folder.mkdir(exist_ok=True)
    nothing: dict[str, Any] = {"chunks": None, "models": (), "packages": (), "environment": None}
    return pack_run(folder, run_id, **{**nothing, **more})


def received(place: Path, *sent: tuple[Bundle, Any]) -> tuple[list[str], str | None]:
    """Unpack things in one process, one after the other; return their words and what is loaded."""
    calls = []
    for number, (bundle, thing) in enumerate(sent):
        path = []
        for archive in bundle.files:
            target = place / "python-dist-x" / "python-files" / str(number) / archive.stem
            with zipfile.ZipFile(archive) as file:
                file.extractall(target)
            path.append(str(target))
        calls.append([bundle.parcels.pack(thing).hex(), *path])
    command = [sys.executable, "-c", READ]
    done = subprocess.run(
        command, input=json.dumps(calls), capture_output=True, text=True, check=True, cwd=place
    )
    told, loaded = json.loads(done.stdout)
    return told, loaded


def test_files_and_weights_are_found_where_they_were_unpacked(tmp_path):
    (tmp_path / "here").mkdir()
    own = find_model(save_colour_classifier(tmp_path / "here" / "colours.onnx"))
    bundle = packed(tmp_path / "sent", models=[own, zoo("nanodet")])
    thing = [RunFiles(tmp_path / "here"), own, zoo("nanodet")]
    (told,), _ = received(tmp_path, (bundle, thing))
    run = f"{tmp_path}/python-dist-x/python-files/0/sightflow-run-1"
    weights = f"{run}/weights/{own.sha256()}.onnx"
    assert told == f"[RunFiles(folder=PosixPath('{run}')), ModelFile('{weights}'), {thing[2]!r}]"
    assert (Path(run) / "weights").exists()
    assert [path.name for path in Path(run, "weights").iterdir()] == [Path(weights).name]


def test_each_job_has_the_packages_that_came_with_it(tmp_path, monkeypatch):
    module = tmp_path / "lens.py"
    sent = []
    for number in (1, 2):
        module.write_text(f"class Lens:\n    def __repr__(self): return 'lens {number}'\n")
        sent.append(packed(tmp_path / "sent", str(number), packages=[str(module)]))
    monkeypatch.syspath_prepend(tmp_path)
    import lens

    (place := tmp_path / "worker").mkdir()
    told, _ = received(place, (sent[0], lens.Lens()), (sent[1], lens.Lens()), (sent[1], lens.Lens))
    assert told == ["lens 1", "lens 2", "<class 'lens.Lens'>"]


def an_environment(path: Path, *, comment: str = "") -> Path:
    """Write a packed environment with this Sightflow, without its weights."""
    with zipfile.ZipFile(path, "w") as file:
        for source in sorted((ROOT / "src").rglob("*.py")):
            file.write(source, source.relative_to(ROOT / "src"))
        file.writestr("comment.txt", comment)
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.usefixtures("cache")
def test_an_environment_is_unpacked_once_and_another_is_refused(tmp_path):
    first, second = (
        packed(tmp_path / "sent", name, environment=pack_environment(str(archive)))
        for name in ("a", "b")
        for archive in [an_environment(tmp_path / f"{name}.zip", comment=name)]
    )
    told, loaded = received(tmp_path, (first, VIDEO_SUFFIXES), (first, 7), (second, 8))
    assert told[:2] == [repr(VIDEO_SUFFIXES), "7"]
    assert "has Sightflow loaded from" in describe_failure(told[2])
    assert "restart the TaskManagers" in told[2]
    assert loaded is not None
    assert Path(loaded).parents[2].name.startswith("sightflow-"), "the folder of the process"
    assert Path(loaded).parents[3] == tmp_path, "among Flink's scratch files, not of the job"


@pytest.mark.usefixtures("cache")
def test_an_environment_without_sightflow_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bare.zip", "w") as file:
        file.writestr("numpy/__init__.py", "")
    with pytest.raises(SetupError, match=r"bare\.zip: needs Sightflow and what it requires"):
        pack_environment(str(tmp_path / "bare.zip"))
    with pytest.raises(SetupError, match=r"an environment is `auto`, `none` or a \.zip file"):
        pack_environment("automatic")


def test_what_differs_on_the_worker_is_said(tmp_path):
    bundle = packed(tmp_path / "sent")
    needs = bundle.parcels.needs
    others = [
        {**needs, "python": (3, 9)},
        {**needs, "versions": {"numpy": "0.1.2"}},
        {**needs, "versions": {"unheard-of": "1"}},
        {**needs, "code": "x"},
        {**needs, "run": "sightflow-run-2"},
    ]
    sent = [(replace(bundle, parcels=Parcels(other)), 1) for other in others]
    told, _ = received(tmp_path, *sent)
    messages = [describe_failure(words).removeprefix("TaskManager: ") for words in told]
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert messages[0].startswith(f"has Python {here} and the job was submitted from 3.9;")
    assert "and the job was submitted with 0.1.2; install the same" in messages[1]
    assert messages[2] == "needs unheard-of 1; `pip install unheard-of==1`"
    assert messages[3].startswith("has another Sightflow, in ")
    assert messages[4].startswith("sightflow-run-2 came with the job and is not in the path")


def test_a_package_must_be_one(tmp_path):
    (tmp_path / "my-notes.txt").write_text("")
    with pytest.raises(PipelineError, match="must be a folder that Python can import by its name"):
        packed(tmp_path / "sent", packages=[str(tmp_path / "my-notes.txt")])


def test_what_unpacks_needs_only_the_standard_library():
    text = Path(unpacking.__file__).read_text("utf-8")
    outer = [line for line in text.splitlines() if line.startswith(("import ", "from "))]
    names = {line.split()[1].partition(".")[0] for line in outer}
    assert names <= set(sys.stdlib_module_names)


def test_a_parcel_is_opened_by_a_call_of_a_file_with_a_name_of_its_own():
    parcel = Parcels({}).pack(1)
    assert b"sightflow_unpacking_" in parcel
    assert b"sightflow.flink" not in parcel
    assert parcel[:1] == pickle.PROTO
