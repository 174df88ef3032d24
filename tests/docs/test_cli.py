"""docs/reference/cli.md has every command with every option, and the real exit codes."""

import json
import re
import sys

import click
import numpy as np
import pytest
import safetensors.numpy
from tests.classifiers import save_colour_classifier
from tests.docs.pages import ROOT, table

import sightflow.cli
from sightflow import RunSettings
from sightflow.cli import cli
from sightflow.cli.fields import FieldOption
from sightflow.errors import JobError
from sightflow.models import DataRange, Facts, Registry, find_model, zoo_names
from sightflow.models.listing import VERSION_COLUMNS
from sightflow.storage.naming import VIDEO_SUFFIXES

PAGE = "docs/reference/cli.md"
SHARED = "Options of classify, detect, track, drive, preprocess and faces identify"
RECOGNISE = ("classify", "detect", "track", "drive", "preprocess", "faces identify")


def all_commands(group=cli, prefix=""):
    """Return every command by the words that call it, those of groups too."""
    found = {}
    for name, command in group.commands.items():
        found[prefix + name] = command
        if isinstance(command, click.Group):
            found |= all_commands(command, f"{prefix}{name} ")
    return found


COMMANDS = all_commands()


def shown(command):
    """Return the rows of a command, by option."""
    rows = table(PAGE, command) + (table(PAGE, SHARED) if command in RECOGNISE else [])
    return {re.match(r"--[\w-]+", row[0])[0]: row for row in rows}


def click_options(command):
    params = COMMANDS[command].params
    return {p.opts[0]: p for p in params if isinstance(p, click.Option)}


@pytest.fixture
def call(place, monkeypatch):
    """Return a function that calls the command as a shell does and returns its exit code."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["sightflow", *words])
        try:
            sightflow.cli.main()
        except SystemExit as left:
            return left.code
        return 0

    return run


def test_every_command_is_in_the_overview():
    overview = [re.search(r"`([\w -]+)`", row[0])[1] for row in table(PAGE, "Command line")]
    assert sorted(overview) == sorted(COMMANDS)
    assert len(overview) >= 7


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_options_of_a_command_are_those_of_the_code(command):
    assert set(shown(command)) == set(click_options(command))


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_defaults_and_choices_of_a_command_are_those_of_the_code(command):
    rows = shown(command)
    for name, option in click_options(command).items():
        cell, default, _ = rows[name]
        if isinstance(option, FieldOption) and not option.is_flag:
            assert default == str(option.default_of_field()), name
        if isinstance(option.default, str | int | float) and not option.is_flag:
            assert default == str(option.default), name
        if option.required:
            assert default == "required", name
        if isinstance(option.type, click.Choice):
            assert cell == f"{name} {'|'.join(option.type.choices)}"
        flag = "/".join([name, *option.secondary_opts])
        assert option.is_flag == (cell == flag), name
        if option.secondary_opts:
            assert default == (name if option.default_of_field() else option.secondary_opts[0])


def test_defaults_that_come_from_the_run_settings_are_theirs():
    rows, settings = shown("detect"), RunSettings()
    assert rows["--batch-size"][1] == str(settings.batch_size)
    assert int(rows["--max-megapixels"][1]) * 1_000_000 == settings.max_pixels
    assert settings.workers is None


def test_the_endings_of_videos_are_named():
    text = (ROOT / PAGE).read_text("utf-8")
    assert [suffix for suffix in VIDEO_SUFFIXES if f"`{suffix}`" not in text] == []


def test_the_exit_codes_are_these_four():
    assert [row[0] for row in table(PAGE, "Exit codes")] == ["0", "1", "2", "130"]


def test_rejected_pictures_end_with_0_and_leave_standard_output_empty(call, place, capfd):
    (place / "photos" / "bad.jpg").write_text("no picture")
    assert call("classify", "photos", "--runner", "inline", "--out", "r.jsonl") == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert "4 read, 3 recognised, 1 rejected" in err
    assert "wrote r.jsonl" in err


def test_without_out_results_are_lines_of_json_and_rejected_pictures_are_beside(call, place, capfd):
    (place / "bad.jpg").write_text("no picture")
    assert call("classify", "photos/0000.jpg", "bad.jpg") == 0
    out, err = capfd.readouterr()
    assert out.startswith('{"uri":"photos/0000.jpg"')
    assert "rejected bad.jpg: not_an_image" in err


@pytest.mark.parametrize(
    "words",
    [
        ["detect", "nowhere.jpg", "--runner", "inline"],
        ["detect", "photos/0000.jpg", "--min-score", "7"],
        ["detect", "photos/0000.jpg", "--out", "my.yaml"],
        ["classify", "photos/0000.jpg", "--model", "nanodet"],
        ["drive", "photos/0000.jpg", "--light-model", "nanodet"],
        ["run", "nowhere.yaml"],
        ["models", "quantise"],
        ["models", "quantize", "nanodet", "--data", "photos", "--out", "int8.onnx"],
        ["models", "quantize", "efficientnet_lite0", "--data", "photos", "--out", "int8.bin"],
        ["models", "quantize", "efficientnet_lite0", "--data", "photos"],
        ["models", "list", "photos"],
        ["models", "promote", "photos/gates"],
        ["models", "promote", "photos/gates@1"],
        ["models", "rollback", "photos/gates@1"],
        ["models", "rollback", "photos/gates"],
        ["models", "diff", "photos/gates@1", "photos/gates@2"],
        ["classify", "photos/0000.jpg", "--model", "photos/gates@1"],
        ["faces", "compare", "people/ann/1.jpg"],
        ["faces", "compare", "people/ann/1.jpg", "people/ann/2.jpg", "--far", "0.5"],
        ["faces", "list", "people"],
        ["faces", "forget", "staff", "adam"],
        ["faces", "identify", "visitors", "--runner", "inline"],
        ["faces", "calibrate", "people/ann", "--out", "calibrated", "--runner", "inline"],
    ],
)
def test_a_wrong_call_ends_with_2(words, call):
    assert call(*words) == 2


@pytest.mark.parametrize(("error", "code"), [(JobError("broke"), 1), (KeyboardInterrupt(), 130)])
def test_a_failed_job_ends_with_1_and_a_stopped_one_with_130(error, code, call, monkeypatch):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("sightflow.runners.run", fail)
    assert call("detect", "photos", "--runner", "inline") == code


@pytest.mark.parametrize(
    ("words", "runner"),
    [
        (["photos/0000.jpg"], "inline"),
        (["photos/0000.jpg"] * 8, "inline"),
        (["photos/0000.jpg"] * 9, "flink"),
        (["photos"], "flink"),
        (["photos/*.jpg"], "flink"),
        (["photos.zip"], "flink"),
        (["clip.mp4"], "flink"),
        (["photos", "--runner", "inline"], "inline"),
    ],
)
def test_the_default_runner_is_as_the_page_says(words, runner, call, monkeypatch):
    chosen = []

    def note(pipeline, settings, **_):
        chosen.append(settings.runner)
        raise JobError("enough")

    monkeypatch.setattr("sightflow.runners.run", note)
    monkeypatch.setattr("sightflow.flink.gateway.start_in_background", lambda: None)
    call("detect", *words)
    assert chosen == [runner]


def test_models_without_a_further_word_lists_those_that_ship(call, capfd):
    assert call("models", "--json") == 0
    names = [json.loads(line)["name"] for line in capfd.readouterr().out.splitlines()]
    assert names == list(zoo_names())
    assert call("models") == 0
    assert "efficientnet_lite0" in capfd.readouterr().out


def test_a_quantised_model_is_written_with_a_table_and_classifies(call, place, capfd):
    save_colour_classifier(place / "colours.onnx")
    words = ["colours.onnx", "--data", "photos", "--out", "int8.onnx", "--images", "1"]
    assert call("models", "quantize", *words) == 0
    out, err = capfd.readouterr()
    assert "top-1 agreement %" in out
    assert "colours-int8" in out
    assert "calibrated on 1 pictures, compared on 1 others, 0 files rejected" in err
    assert "times as fast here" in err
    assert "wrote int8.onnx\nwrote int8.yaml\n" in err
    assert call("classify", "photos/0000.jpg", "--model", "int8.onnx") == 0
    assert '"model":"colours-int8"' in capfd.readouterr().out


@pytest.fixture
def published(place):
    """Return a registry with two versions of a classifier of colours."""
    save_colour_classifier(place / "colours.onnx")
    model = find_model("colours.onnx")
    registry = Registry("models")
    for step, bias in ((500, 2.0), (1000, 3.0)):
        registry.publish(
            "colours",
            onnx=(place / "colours.onnx").read_bytes(),
            weights=safetensors.numpy.save({"bias": np.array([bias], np.float32)}),
            card=model.card,
            facts=Facts("monday", step, 32 * step, DataRange(0, 9, 5), {"accuracy": step / 2000}),
        )
    return registry


def versions_of(capfd):
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    return [(row["version"], row["serving"], row["metrics"]) for row in rows]


def test_the_versions_in_a_registry_are_listed_with_the_one_that_serves(published, call, capfd):
    assert call("models", "promote", "models/colours@2", "--reason", "better") == 0
    assert capfd.readouterr().out == "models/colours: version 2 serves\n"
    assert published.serving("colours").reason == "better"
    assert call("models", "list", "models", "--json") == 0
    assert versions_of(capfd) == [(1, False, {"accuracy": 0.25}), (2, True, {"accuracy": 0.5})]
    assert call("models", "list", "models") == 0
    assert "accuracy 0.25" in capfd.readouterr().out


def test_the_columns_of_the_versions_are_on_the_page():
    shown = [name for row in table(PAGE, "models list", number=1) for name in words_of(row[0])]
    assert sorted(shown) == sorted(VERSION_COLUMNS)


def words_of(cell):
    return re.findall(r"\w+", cell)


def test_a_promotion_is_rolled_back(published, call, capfd):
    for number in (1, 2):
        call("models", "promote", f"models/colours@{number}")
    assert call("models", "rollback", "models/colours") == 0
    assert capfd.readouterr().out.endswith("models/colours: version 1 serves\n")
    assert call("models", "rollback", "models/colours") == 2
    assert "there is none" in capfd.readouterr().err


def test_two_versions_are_compared(published, call, capfd):
    words = ["models", "diff", "models/colours@1", "models/colours@2"]
    assert call(*words) == 0
    out = capfd.readouterr().out
    assert "metric accuracy" in out
    assert "0.5 of its norm" in out
    assert call(*words, "--json") == 0
    found = json.loads(capfd.readouterr().out)
    assert found["metrics"] == {"accuracy": {"first": 0.25, "second": 0.5}}
    assert found["weights"] == [{"name": "bias", "first": [1], "second": [1], "relative": 0.5}]
    rows = re.search(r"^## models diff\n.*?^\| `--json` (.*?)$", page_text(), re.M | re.S)
    assert [key for key in found if f"`{key}`" not in rows[1]] == []


def page_text():
    return (ROOT / PAGE).read_text("utf-8")


@pytest.mark.parametrize(("name", "version"), [("models/colours", "2"), ("models/colours@1", "1")])
def test_a_published_model_classifies(name, version, published, call, capfd):
    assert call("classify", "photos/0000.jpg", "--model", name) == 0
    assert f'"model":"colours","model_version":"{version}"' in capfd.readouterr().out


def test_a_comparison_has_the_fields_of_the_page(call, capfd):
    assert call("faces", "compare", "people/ann/1.jpg", "visitors/0.jpg") == 0
    found = json.loads(capfd.readouterr().out)
    shown = [n for row in table(PAGE, "faces compare", number=1) for n in words_of(row[0])]
    assert list(found) == shown
    assert (found["same"], found["status"]) == (True, "ok")


def test_pairs_have_the_columns_and_words_of_the_page(call, place):
    pairs = "file_a,file_b,note\nann/1.jpg,ann/2.jpg,one\nann/1.jpg,gone.jpg,two\n"
    (place / "pairs.csv").write_text(pairs + "../photos/0000.jpg,bob/1.jpg,three\n")
    words = ["--pairs", "pairs.csv", "--root", "people", "--out", "scores.csv"]
    assert call("faces", "compare", *words, "--runner", "inline") == 0
    heading, *lines = (place / "scores.csv").read_text().splitlines()
    assert heading == "file_a,file_b,note,score,same,status"
    assert lines[0].endswith(",true,ok")
    assert lines[1:] == [
        "ann/1.jpg,gone.jpg,two,,,unreadable:file_b",
        "../photos/0000.jpg,bob/1.jpg,three,,,no_face:file_a",
    ]


@pytest.mark.parametrize(("words", "number"), [([], 1), (["--pictures"], 2)])
def test_the_columns_of_a_gallery_are_on_the_page(words, number, call, capfd):
    assert call("faces", "list", "staff", "--json", *words) == 0
    eve, *_ = (json.loads(line) for line in capfd.readouterr().out.splitlines())
    shown = [n for row in table(PAGE, "faces list", number=number) for n in words_of(row[0])]
    assert list(eve) == shown


def test_a_calibration_writes_the_files_of_the_page(call, place, capfd):
    page, words = "faces calibrate", ["people", "--out", "calibrated", "--runner", "inline"]
    assert call("faces", "calibrate", *words) == 0
    out, err = capfd.readouterr()
    shown = [row[0].replace("NAME", "mobilefacenet") for row in table(PAGE, page, number=1)]
    assert sorted(path.name for path in (place / "calibrated").iterdir()) == sorted(shown)
    assert all(f"wrote calibrated/{name}\n" in err for name in shown)
    columns = [re.split("`, `", row[0].strip("`")) for row in table(PAGE, page, number=2)]
    heading = [cell.strip() for cell in out.splitlines()[1].strip("┃").split("┃")]
    assert heading == [name for names in columns for name in names]


def walk(path, n_frames=8):
    """Write detections of a walker, and of one who comes later."""
    lines = [f"{t},-1,{10 + 4 * t},20,30,60,0.9,-1,-1,-1" for t in range(1, n_frames + 1)]
    lines += [f"{t},-1,{400 - 4 * t},20,30,60,0.8,-1,-1,-1" for t in range(4, n_frames + 1)]
    path.write_text("\n".join(lines) + "\n")


def test_track_makes_detections_into_tracks_and_evaluate_scores_them(call, place, capfd):
    walk(place / "det.txt")
    assert call("track", "--detections", "det.txt", "--fps", "10", "--out", "tracks.txt") == 0
    rows = [line.split(",") for line in (place / "tracks.txt").read_text().splitlines()]
    assert [row[0] for row in rows if row[1] == "1"] == [str(t) for t in range(2, 9)]
    assert [row[0] for row in rows if row[1] == "2"] == ["5", "6", "7", "8"]
    capfd.readouterr()
    words = ["evaluate", "tracks", "--truth", "tracks.txt", "--predictions", "tracks.txt", "--json"]
    assert call(*words) == 0
    assert json.loads(capfd.readouterr().out)["combined"]["hota"] == 1.0


def test_track_tells_who_crosses_a_line_and_who_is_in_a_zone(call, place):
    walk(place / "det.txt", 30)
    words = ["track", "--detections", "det.txt", "--fps", "10", "--out", "tracks.jsonl"]
    words += ["--line", "gate=90,0,90,200", "--zone", "lot=0,0,60,0,60,200,0,200"]
    assert call(*words, "--window", "1.5", "--events", "events.jsonl") == 0
    events = [json.loads(line) for line in (place / "events.jsonl").read_text().splitlines()]
    events = [e for e in events if "zone" in e]
    happened = [(e["kind"], e.get("zone"), e.get("direction"), e.get("track_id")) for e in events]
    assert ("crossed", "gate", "out", 1) in happened
    assert ("entered", "lot", None, 1) in happened
    assert ("exited", "lot", None, 1) in happened
    counted = [e["event_time_ms"] for e in events if (e["kind"], e["zone"]) == ("counted", "lot")]
    assert counted[0] == 1_500


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give a PATH or --detections FILE, one of them"),
        (["a.mp4", "--detections", "det.txt"], "give a PATH or --detections FILE"),
        (["photos"], "photos is read as pictures, which need --fps N"),
        (["a.mp4", "b.mp4", "--annotate", "c.mp4"], "holds one stream; several need a folder"),
        (["a.mp4", "b.mp4", "--out", "c.txt"], "holds one stream; use .jsonl or .parquet"),
        (["clip.mp4", "--line", "gate=1,2,3,4"], "--line and --zone need --events or --annotate"),
        (["clip.mp4", "--window", "5"], "--window is for the counts of --line and --zone"),
        (["--detections", "det.txt", "--labels", "cat"], "--labels cat: there are object, ped"),
        (["rtsp://a/1", "b.mp4"], "rtsp://a/1 is live; a call follows one live stream"),
        (["rtsp://a/1", "--annotate", "a.mp4"], "--annotate reads the pictures again"),
        (["clip.mp4", "--line", "gate=1,2,3"], "must be NAME=X,Y,X,Y... with 2 points, in pixels"),
        (["clip.mp4", "--zone", "lot=1,2,3,4"], "with 3 points or more"),
        (
            ["clip.mp4", "--line", "track=1,2,3,4", "--events", "e"],
            "'track' is taken; each needs a name of its own",
        ),
        (["--detections", "det.txt", "--every", "2"], "--every and --pattern are for files"),
        (["--detections", "det.txt", "--model", "nanodet"], "--detections has what was detected"),
        (["clip.mp4", "--state-dir", "s"], "--state-dir goes with --runner flink"),
        (["clip.mp4", "--events", "e.csv"], "--events e.csv: the ending must be .jsonl"),
        (["clip.mp4", "--labels", "unicorn"], "--labels unicorn: there are person, bicycle"),
        (["clip.mp4", "--out", "tracks.xls"], "must be one of .csv, .jsonl, .parquet, .txt"),
    ],
)
def test_a_wrong_call_of_track_says_what_is_wrong(words, message, call, capfd):
    assert call("track", *words, "--runner", "inline") == 2
    assert message in capfd.readouterr().err


TRAINING = """
name: insects
source:
  kind: Passes
  train: {kind: Labelled, source: {kind: Directory, paths: "${data}/train"}}
  test: {kind: Labelled, source: {kind: Directory, paths: "${data}/test"}}
steps:
  - name: train
    kind: Train
    batch_size: 4
    optimiser: {rate: "${rate}"}
    publish: {registry: "${registry}", name: insects}
  - {name: test, kind: Evaluate, every: 4}
"""
TESTING = """
source: {kind: Labelled, source: {kind: Directory, paths: "${data}"}}
steps:
  - {name: classify, kind: Classify, model: "${registry}/insects"}
  - {name: test, kind: Evaluate}
"""


@pytest.fixture
def configs(place):
    """Save pipelines that train and that test."""
    (place / "insects.yaml").write_text(TRAINING.replace('"${rate}"', "0.01"))
    (place / "test.yaml").write_text(TESTING)
    return place


def train(call, *words):
    paths = ["--data", "lessons", "--registry", "models"]
    return call("train", "insects.yaml", *paths, "--runner", "inline", *words)


def test_train_writes_events_and_a_report_and_prints_what_was_reached(call, configs, capfd):
    assert train(call) == 0
    out, err = capfd.readouterr()
    assert "24 read, 24 recognised, 0 rejected" in err
    assert "classes: ants, bees\n" in err
    for name in ("events.jsonl", "rejected.jsonl", "report.html"):
        assert f"wrote insects-training/{name}\n" in err
    assert re.search(r"│ test 1 │ 12 ", out)
    assert re.search(r"│ stream │ 12 ", out)
    assert "published models/insects@1: serves, the first to serve\n" in out
    page = (configs / "insects-training" / "report.html").read_text("utf-8")
    assert "Learned from 12 images in 3 steps. models/insects@1 serves" in page
    assert "2: ants, bees" in page
    assert "24 read, 0 rejected" in page


def test_a_report_that_exists_is_replaced_when_asked(call, configs, capfd):
    (configs / "out").mkdir()
    (configs / "out" / "report.html").write_text("mine")
    assert train(call, "--out", "out") == 2
    assert "out/report.html: exists already" in capfd.readouterr().err
    assert train(call, "--out", "out", "--overwrite", "--quiet") == 0
    assert capfd.readouterr() == ("", "")
    assert "mine" not in (configs / "out" / "report.html").read_text("utf-8")


@pytest.mark.parametrize("name", [["evaluate"], ["evaluate", "pipeline"]])
def test_evaluate_tests_a_finished_model_and_writes_a_report(name, call, configs, capfd):
    train(call, "--quiet")
    words = ["test.yaml", "--data", "lessons/test", "--registry", "models", "--runner", "inline"]
    capfd.readouterr()
    assert call(*name, *words, "--json") == 0
    out, err = capfd.readouterr()
    found = json.loads(out)
    assert found["all"]["n"] == 12
    assert found["details"][0]["classes"].keys() == {"ants", "bees"}
    assert found["report"] == "test-evaluation/report.html"
    assert "wrote test-evaluation/report.html" in err
    rows = re.search(r"^## evaluate pipeline\n.*?^\| `--json` (.*?)$", page_text(), re.M | re.S)
    assert [key for key in found if f"`{key}`" not in rows[1]] == []
    assert call(*name, *words, "--overwrite") == 0
    assert re.search(r"│ stream │ 12 ", capfd.readouterr().out)


def test_options_may_come_before_the_file(call, configs, capfd):
    train(call, "--quiet")
    words = ["--data", "lessons/test", "--registry", "models", "--runner", "inline", "test.yaml"]
    assert call("evaluate", *words) == 0


def test_the_example_tests_a_model(call, configs, capfd):
    train(call, "--quiet")
    words = ["--set", "model=models/insects", "--data", "lessons/test", "--runner", "inline"]
    assert call("evaluate", "examples/evaluate.yaml", *words) == 0
    assert "Tested on 12 images." in (configs / "evaluate-evaluation/report.html").read_text()


def test_a_model_that_knows_none_of_the_labels_is_refused(call, configs, capfd):
    train(call, "--quiet")
    (configs / "other" / "wasps").mkdir(parents=True)
    (configs / "lessons/test/ants/0.jpg").rename(configs / "other/wasps/0.jpg")
    (configs / "other" / "flies").mkdir()
    (configs / "lessons/test/ants/1.jpg").rename(configs / "other/flies/1.jpg")
    words = ["--set", "model=models/insects", "--runner", "inline", "--data"]
    assert call("evaluate", "examples/evaluate.yaml", *words, "other") == 2
    message = "knows none of the labels of the source: flies, wasps; it knows ants, bees"
    assert message in capfd.readouterr().err
    (configs / "lessons/test/wasps").mkdir()
    (configs / "other/wasps/0.jpg").rename(configs / "lessons/test/wasps/0.jpg")
    assert call("evaluate", "examples/evaluate.yaml", *words, "lessons/test") == 0
    assert "the model does not know: wasps\n" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "insects.yaml"], "has a step that trains; call `sightflow train insects"),
        (["evaluate", "my-run.yaml"], "has no step of the kind Evaluate"),
        (["train", "my-run.yaml"], "has no step of the kind Train"),
        (["evaluate", "nowhere.yaml"], "'nowhere.yaml' does not exist"),
        (["train", "insects.yaml", "--set", "a"], "--set 'a' must be NAME=VALUE"),
    ],
)
def test_a_wrong_call_about_learning_says_what_is_wrong(words, message, call, configs, capfd):
    text = 'name: "${registry}"\nsource: {kind: Directory, paths: "${data}"}\n'
    (configs / "my-run.yaml").write_text(text)
    assert call(*words, "--data", "lessons", "--registry", "models") == 2
    assert message in capfd.readouterr().err
