"""`sightflow replay` recognises the same images again and tells what differs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from tests.classifiers import COLOUR_CARD, save_colour_classifier, save_colours
from tests.unit.sources.test_video import write_video

from sightflow.cli import cli
from sightflow.errors import SightflowError

N = 6


def call(*words: str) -> Result:
    """Call the command in this process; what it refuses is raised as it is."""
    result = CliRunner().invoke(cli, words)
    if isinstance(result.exception, SightflowError):
        raise result.exception
    return result


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with results of six colours, two of each, and one file that is no picture.

    Beside the model of the results is one that calls red green, and green red.
    """
    monkeypatch.chdir(tmp_path)
    save_colours(tmp_path / "photos", N)
    (tmp_path / "photos" / "bad.png").write_text("no picture")
    save_colour_classifier(tmp_path / "colours.onnx")
    save_colour_classifier(tmp_path / "swapped.onnx")
    card = COLOUR_CARD.replace("[red, green, blue]", "[green, red, blue]")
    (tmp_path / "swapped.yaml").write_text(card.replace("name: colours", "name: swapped"))
    words = ["classify", "photos", "--model", "colours.onnx", "--out", "night.jsonl", "--quiet"]
    assert call(*words, "--runner", "inline").exit_code == 0
    return tmp_path


def replayed(*words: str) -> dict[str, Any]:
    result = call("replay", "night.jsonl", "--runner", "inline", "--quiet", "--json", *words)
    assert result.exit_code == 0, result.output
    figures: dict[str, Any] = json.loads(result.stdout)
    return figures


def test_the_same_model_says_the_same(night: Path) -> None:
    figures = replayed("--model", "colours.onnx")
    assert (figures["n"], figures["same"], figures["rejected_by_both"]) == (N, N, 1)
    a, b = (
        [json.loads(line) for line in (night / name).read_text().splitlines()]
        for name in ("night.jsonl", "night.replay.jsonl")
    )
    assert a == b


def test_another_model_is_compared_image_by_image(night: Path) -> None:
    words = ["--model", "swapped.onnx", "--diff", "diff.jsonl", "--report", "replay.html"]
    figures = replayed(*words, "--out", "b.jsonl")
    assert (figures["same"], figures["differed"]) == (2, 4)
    assert figures["changes"] == {"kept": 2, "relabelled": 4}
    assert figures["models"] == [["colours 3"], ["swapped 3"]]
    lines = [json.loads(line) for line in (night / "diff.jsonl").read_text().splitlines()]
    assert [line["changes"][0]["b"]["label"] for line in lines] == ["green", "red"] * 2
    assert "B says the same as A of 2 of 6 images" in (night / "replay.html").read_text("utf-8")
    assert (night / "b.jsonl").exists()


def test_a_threshold_leaves_out_what_scores_less(night: Path) -> None:
    # The best class of each of these colours scores below 1.
    figures = replayed("--model", "colours.onnx", "--min-score", "1")
    assert figures["changes"] == {"lost": N}
    assert figures["same"] == 0


def test_labels_tell_who_is_right(night: Path) -> None:
    names = ("red", "green", "blue")
    rows = [f"{i:03d}.png,{names[i % 3]}" for i in range(N)]
    (night / "labels.csv").write_text("\n".join(["path,label", *rows]))
    figures = replayed("--model", "swapped.onnx", "--labels", "labels.csv")
    assert figures["labels"] == {
        "both": 2,
        "only_a": 4,
        "only_b": 0,
        "neither": 0,
        "n": N,
        "p_value": 0.125,  # 2 x 1/16
    }


def test_a_picture_that_is_gone_or_mended_is_told(night: Path) -> None:
    (night / "photos" / "000.png").unlink()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(night / "photos" / "bad.png")
    figures = replayed("--model", "colours.onnx", "--diff", "diff.jsonl")
    assert (figures["same"], figures["only_a"], figures["only_b"]) == (5, 1, 1)
    gone, mended = (json.loads(line) for line in (night / "diff.jsonl").read_text().splitlines())
    assert (gone["kind"], gone["rejected"]["reason"]) == ("only_a", "unreadable")
    assert (mended["kind"], mended["rejected"]["reason"]) == ("only_b", "not_an_image")


PIPELINE = """
source: {kind: Directory, paths: "${elsewhere}"}
steps:
  - {name: colours, kind: Classify, model: "${model}", top_k: 1}
sinks:
  - {name: results, kind: JsonLines, path: never.jsonl}
run: {runner: inline}
"""


def test_the_steps_of_a_pipeline_are_replayed_without_its_source_and_sinks(night: Path) -> None:
    (night / "job.yaml").write_text(PIPELINE)
    blanks = ["--set", "elsewhere=nowhere", "--set", "model=swapped.onnx"]
    figures = replayed("--pipeline", "job.yaml", *blanks)
    assert (figures["same"], figures["differed"]) == (2, 4)
    assert not (night / "never.jsonl").exists()


def test_a_step_that_learns_is_refused(night: Path) -> None:
    shadow = "  - {name: on trial, kind: Shadow, model: colours.onnx}\n"
    compare = "  - {name: both, kind: Compare}\n"
    text = PIPELINE.replace("${model}", "colours.onnx").replace("${elsewhere}", "photos")
    (night / "job.yaml").write_text(text.replace("sinks:", f"{shadow}{compare}sinks:"))
    result = call("replay", "night.jsonl", "--pipeline", "job.yaml")
    assert result.exit_code == 2
    assert "step 'both' learns or compares" in result.output


def test_frames_of_a_video_are_replayed(night: Path) -> None:
    video = write_video(night / "clip.mp4", n_frames=20)
    words = ["classify", video, "--every", "6", "--model", "colours.onnx", "--quiet"]
    call(*words, "--runner", "inline", "--out", "clip.parquet")
    result = call(
        *("replay", "clip.parquet", "--model", "colours.onnx", "--quiet", "--json"),
        *("--runner", "inline", "--out", "clip2.parquet"),
    )
    figures = json.loads(result.stdout)
    assert (figures["n"], figures["same"]) == (4, 4)


def test_the_figures_are_a_table_for_people(night: Path) -> None:
    words = ["replay", "night.jsonl", "--model", "swapped.onnx", "--runner", "inline"]
    result = call(*words)
    assert "33.3 % (95 %: 9.7 to 70.0 %)" in result.stdout
    assert "2 kept, 4 relabelled" in result.stdout
    assert "wrote night.replay.jsonl" in result.stderr


def test_labels_that_are_not_there_are_told_before_anything_is_read(night: Path) -> None:
    with pytest.raises(SightflowError, match=r"nowhere\.csv: no such file"):
        replayed("--model", "colours.onnx", "--labels", "nowhere.csv")
    assert not (night / "night.replay.jsonl").exists()


def test_nothing_is_replaced_unless_that_is_asked_for(night: Path) -> None:
    words = ["--model", "colours.onnx", "--diff", "diff.jsonl"]
    replayed(*words)
    with pytest.raises(SightflowError, match="exists already"):
        replayed(*words)
    replayed(*words, "--overwrite")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "m", "--pipeline", "labels"], "--model and --pipeline exclude each other"),
        (["--top-k", "1", "--pipeline", "labels"], "--top-k and --pipeline exclude each other"),
        (["--set", "a=b"], "fill the blanks of --pipeline FILE"),
        (["--out", "b.csv"], "the ending must be .jsonl or .parquet"),
        (["--diff", "d.csv"], "the ending must be .jsonl"),
        (["--report", "r.pdf"], "the ending must be .html"),
        (["--out", "night.jsonl"], "are four files"),
        (["--out", "b.jsonl", "--diff", "b.jsonl"], "are four files"),
        (["--min-iou", "0"], "--min-iou"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(words: list[str], message: str, night: Path) -> None:
    (night / "labels").touch()
    result = call("replay", "night.jsonl", *words)
    assert result.exit_code == 2
    assert message in result.output


def test_results_at_a_url_need_a_place_for_the_new_ones(night: Path) -> None:
    result = call("replay", "s3://bucket/night.jsonl")
    assert result.exit_code == 2
    assert "--out is needed: s3://bucket/night.jsonl is a URL" in result.output


def test_results_of_a_camera_cannot_be_replayed(night: Path) -> None:
    row = {"uri": "rtsp://gate/1", "source_id": "gate", "sequence": 0, "event_time_ms": 0}
    (night / "live.jsonl").write_text(json.dumps({**row, "classification": []}) + "\n")
    result = call("replay", "live.jsonl")
    assert result.exit_code == 2
    assert "no image can be read again: 1 of rtsp, which cannot be opened again" in result.output


def test_empty_results_are_refused(night: Path) -> None:
    (night / "none.jsonl").touch()
    result = call("replay", "none.jsonl")
    assert result.exit_code == 2
    assert "has no rows" in result.output


def test_images_that_cannot_be_opened_are_counted_beside_the_others(
    night: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    row = {"uri": "rtsp://gate/1", "source_id": "gate", "sequence": 0, "event_time_ms": 0}
    with open(night / "night.jsonl", "a") as lines:
        lines.write(json.dumps({**row, "classification": []}) + "\n")
    result = call("replay", "night.jsonl", "--model", "colours.onnx", "--runner", "inline")
    assert "left out: 1 of rtsp, which cannot be opened again" in capfd.readouterr().err
    assert "1: 1 of rtsp" in result.stdout
    assert json.loads((night / "night.replay.summary.json").read_text())["read"] == N + 1


def test_pictures_none_of_which_can_be_opened_are_told_with_what_to_do(
    night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (night / "elsewhere").mkdir()
    monkeypatch.chdir(night / "elsewhere")
    words = "--model", "../colours.onnx", "--out", "b.jsonl", "--report", "b.html"
    result = call("replay", "../night.jsonl", "--runner", "inline", "--quiet", *words)
    assert result.exit_code == 0
    assert "none of the 6 images of A could be recognised again" in result.stderr
    assert "photos/000.png: " in result.stderr
    assert "a relative path is that of the folder in which the run was started" in result.stderr
    page = (night / "elsewhere" / "b.html").read_text("utf-8")
    assert "none of the 6 images of A could be recognised again" in page
    assert "<b>-</b>" in page
    assert "Along the input" not in page


def test_the_threshold_of_b_is_told_and_that_of_a_is_not_known(night: Path) -> None:
    words = "--model", "colours.onnx", "--min-score", "0.25", "--report", "b.html"
    result = call("replay", "night.jsonl", "--runner", "inline", "--quiet", *words)
    said = "B: classify min_score 0.25; those of A are not known"
    assert said in " ".join(result.stdout.split())
    assert said in (night / "b.html").read_text("utf-8")
