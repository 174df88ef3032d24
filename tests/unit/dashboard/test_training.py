"""A page shows what the events of a training tell, and needs nothing but itself."""

import base64
import io
import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sightflow.dashboard.charts import curves_of
from sightflow.dashboard.confusion import matrix_of
from sightflow.dashboard.learning import Details, Learning, read_learning
from sightflow.dashboard.training import write_training_report
from sightflow.errors import SourceError
from sightflow.testing import draw_scene, encode_image

Row = dict[str, Any]


def an_event(kind: str, step: str = "test", **fields: Any) -> Row:
    where = {"source_id": "photos", "sequence": 0, "event_time_ms": 0}
    return {"kind": kind, "step": step, **where, **fields}


def trained(step: int, n: int, loss: float | None) -> Row:
    figures = {"step": step, "n_samples": n, "loss": loss, "rate": 0.5}
    return an_event("trained", "train", figures=figures)


def evaluated(n: int, accuracy: float, window: float) -> Row:
    figures = {"n": n, "accuracy": accuracy, "window_n": 10, "window_accuracy": window}
    return an_event("evaluated", figures=figures)


def a_test(n: int, accuracy: float) -> Row:
    names = "top_k_accuracy", "macro_f1", "log_loss", "calibration_error"
    return an_event("tested", figures={"n": n, "accuracy": accuracy, **dict.fromkeys(names, 0.25)})


def published(step: int, version: int, reason: str, *, serves: bool) -> Row:
    figures = {"step": step, "version": version, "serves": float(serves), "n_images": 4}
    event = an_event("published", "train", uri=f"models/gates@{version}", reason=reason)
    return {**event, "figures": figures}


def scored(class_id: int, label: str, n: int, held_out: int = 0) -> Row:
    figures = {"precision": 0.5, "recall": 0.25, "f1": 0.125, "n": n, "held_out": held_out}
    return an_event("scored", class_id=class_id, label=label, figures=figures)


def confused(label: str, predicted: str | None, n: int, held_out: int = 0) -> Row:
    event = an_event("confused", label=label, figures={"n": n, "held_out": held_out})
    return event if predicted is None else {**event, "predicted": predicted}


def mistaken(uri: str, label: str = "cat", predicted: str = "dog") -> Row:
    figures = {"score": 0.875, "score_of_label": 0.125, "held_out": 0}
    return an_event("mistaken", label=label, predicted=predicted, uri=uri, figures=figures)


CALIBRATED = an_event(
    "calibrated",
    figures={
        "min_score": 0.5, "max_score": 0.75, "n": 8, "accuracy": 0.5, "score": 0.625, "held_out": 0,
    },
)  # fmt: skip

OBJECTS = {
    "n": 8, "n_objects": 20, "n_false": 3, "n_unknown": 0, "precision": 0.75, "recall": 0.5,
    "f1": 0.6, "map": 0.25,
}  # fmt: skip


def of_objects(kind: str, n: int, map_50: float) -> Row:
    return an_event(kind, "objects", figures={**OBJECTS, "n": n, "map_50": map_50})


def scored_objects(class_id: int, label: str, n: int, held_out: int = 0) -> Row:
    figures = {"precision": 0.5, "recall": 0.25, "f1": 0.375, "ap_50": 0.625, "ap": 0.125}
    figures |= {"n": n, "n_false": 3, "held_out": held_out}
    return an_event("scored", "objects", class_id=class_id, label=label, figures=figures)


FOUND = [
    of_objects("evaluated", 20, 0.375), of_objects("tested", 4, 0.5),
    of_objects("evaluated", 40, 0.4375),
    scored_objects(0, "car", 6), scored_objects(1, "dog", 2),
]  # fmt: skip

COURSE = [
    trained(2, 20, 1.5),
    evaluated(20, 0.5, 0.25),
    an_event("drifted", figures={"n": 25, "adwin": 1.0, "error_before": 0.1}),
    published(3, 1, "the first to serve", serves=True),
    a_test(4, 0.75),
    trained(4, 40, None),
    evaluated(40, 0.625, 0.75),
    published(4, 2, "0.5 against 0.75", serves=False),
    a_test(4, 1.0),
    evaluated(44, 0.7, 0.8),
]
DETAILS = [
    scored(1, "dog", 6), scored(0, "cat", 4),
    confused("cat", "cat", 3), confused("cat", "dog", 1), confused("dog", None, 6),
    CALIBRATED, mistaken("gone.jpg"),
]  # fmt: skip


def save(path: Path, events: Sequence[Row]) -> Path:
    path.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    return path


def read(folder: Path, events: Sequence[Row]) -> Learning:
    return read_learning(save(folder / "events.jsonl", events))


def page_of(folder: Path, events: Sequence[Row], title: str = "gates", **more: Any) -> str:
    path = folder / "report.html"
    write_training_report(path, title, save(folder / "events.jsonl", events), **more)
    return path.read_text("utf-8")


def charts_of(page: str) -> list[dict[str, Any]]:
    pattern = r'<script type="application/json" id="chart-\d">(.*?)</script>'
    return [json.loads(text) for text in re.findall(pattern, page, re.S)]


class Addresses(HTMLParser):
    """Collects whatever a browser would load or follow."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = ("src", "href", "srcset", "action", "data", "poster")
        self.found += [value or "" for name, value in attrs if name in names]


def test_the_curves_are_the_figures_of_the_events(tmp_path: Path) -> None:
    accuracy, loss = charts_of(page_of(tmp_path, COURSE))
    curves = {c["label"]: (c["x"], c["y"]) for chart in (accuracy, loss) for c in chart["curves"]}
    assert curves == {
        "window": ([20, 40, 44], [0.25, 0.75, 0.8]),
        "since the start": ([20, 40, 44], [0.5, 0.625, 0.7]),
        "tests": ([25, 44], [0.75, 1.0]),
        "loss": ([20, 40], [1.5, None]),
        "loss in tests": ([25, 44], [0.25, 0.25]),
        "learning rate": ([20, 40], [0.5, 0.5]),
    }


def test_alarms_and_versions_are_marks_at_their_images(tmp_path: Path) -> None:
    for chart in charts_of(page_of(tmp_path, COURSE)):
        marks = [(mark["kind"], mark["x"]) for mark in chart["marks"]]
        assert marks == [("drifted", 25), ("published", 30), ("published", 40)]


def test_a_long_curve_is_thinned_and_keeps_its_end(tmp_path: Path) -> None:
    learning = read(tmp_path, [trained(n, n, 1.0) for n in range(1, 5_002)])
    (loss, _) = curves_of(learning)[0].curves
    assert len(loss.x) == 1_667
    assert loss.x[-1] == 5_001


def test_curves_of_several_steps_are_told_apart(tmp_path: Path) -> None:
    other = {**evaluated(20, 0.5, 0.5), "step": "other"}
    learning = read(tmp_path, [evaluated(20, 0.5, 0.5), other])
    labels = [curve.label for curve in curves_of(learning)[0].curves]
    assert labels[::2] == ["window (test)", "window (other)"]


def test_the_version_that_serves_is_told_with_its_reason(tmp_path: Path) -> None:
    page = page_of(tmp_path, COURSE)
    assert "Learned from 40 images in 4 steps. models/gates@1 serves: the first to serve." in page
    assert "0.5 against 0.75" in page


def test_a_version_that_does_not_serve_is_told_as_such(tmp_path: Path) -> None:
    page = page_of(tmp_path, [published(4, 2, "promote is &quot;never&quot;", serves=False)])
    assert "models/gates@2 is published and does not serve" in page


def test_the_matrix_has_the_pairs_of_the_events(tmp_path: Path) -> None:
    matrix = matrix_of(read(tmp_path, DETAILS).details[0], max_classes=100)
    assert matrix.rows == ["cat", "dog"]
    assert matrix.columns == ["cat", "dog", "others"]
    assert [[cell.n for cell in row] for row in matrix.cells] == [[3, 1, 0], [0, 0, 6]]
    assert [cell.percent for cell in matrix.cells[0]] == [75, 25, 0]
    assert matrix.cells[0][1].title == "cat taken for dog: 1, 25.0 %"


def test_of_too_many_classes_those_with_the_most_mistakes_are_shown() -> None:
    labels = "abcd"
    pairs = [confused(label, label, 9) for label in labels]
    pairs += [confused("b", "d", 2), confused("c", "a", 1)]
    rows = [scored(i, label, 9) for i, label in enumerate(labels)]
    matrix = matrix_of(Details("test", False, rows, pairs, [], []), max_classes=2)
    assert (matrix.rows, matrix.n_left_out) == (["b", "d"], 2)
    assert [[cell.n for cell in row] for row in matrix.cells] == [[9, 2], [0, 9]]


def test_held_out_images_come_first(tmp_path: Path) -> None:
    last_test = [scored(0, "cat", 7, held_out=1), confused("cat", "cat", 7, held_out=1)]
    page = page_of(tmp_path, DETAILS + last_test)
    titles = re.findall(r"<summary><h2>(.*?)</h2>", page)
    assert titles == ["7 images of the last test", "10 images of the stream"]


def test_the_reliability_diagram_has_a_bar_for_each_range(tmp_path: Path) -> None:
    page = page_of(tmp_path, DETAILS)
    assert "scores 0.50 to 0.75: 50.0 % of 8 right, mean score 0.625" in page
    assert '<rect x="190.0" y="160.0" width="73.0" height="150.0"' in page


def test_a_mistake_is_shown_as_a_small_picture(tmp_path: Path) -> None:
    path = tmp_path / "a #1.jpg"
    path.write_bytes(encode_image(draw_scene(640, 320)))
    page = page_of(tmp_path, [*DETAILS, mistaken(str(path)), mistaken(str(path))])
    (picture,) = re.findall(r'src="data:image/jpeg;base64,(.*?)"', page)
    assert Image.open(io.BytesIO(base64.b64decode(picture))).size == (256, 128)
    assert "is cat 0.12, 2 times" in page


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("nowhere.jpg", "No such file"),
        ("nothing://a.jpg", "Protocol not known"),
        ("walk.mp4", "a frame of a video"),
        ("text.jpg", "starts with the bytes"),
    ],
)
def test_a_picture_that_cannot_be_shown_is_told(
    uri: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.jpg").write_text("no picture")
    page = page_of(tmp_path, [*DETAILS, mistaken(uri)])
    assert re.search(rf"no picture: [^<]*{why}", page)


def test_only_so_many_mistakes_are_shown(tmp_path: Path) -> None:
    mistakes = [mistaken(f"{i}.jpg") for i in range(60)]
    assert page_of(tmp_path, DETAILS + mistakes).count("no picture") == 48


def test_texts_of_the_run_are_shown_and_never_executed(tmp_path: Path) -> None:
    evil = '</script><img src=x onerror="alert(1)">'
    events = [
        *COURSE, published(4, 3, evil, serves=True), scored(0, evil, 1), confused(evil, evil, 1),
        {**evaluated(50, 0.5, 0.5), "step": evil}, mistaken(evil, evil, evil),
    ]  # fmt: skip
    page = page_of(tmp_path, events, title=evil, facts={evil: evil})
    assert "<img src=x" not in page
    assert "onerror=&#34;" in page
    assert page.count("</script>") == len(re.findall(r"<script\b", page))
    assert any(evil in curve["label"] for chart in charts_of(page) for curve in chart["curves"])


def test_the_page_needs_no_other_file_and_no_network(tmp_path: Path) -> None:
    page = page_of(tmp_path, COURSE + DETAILS)
    addresses = Addresses()
    addresses.feed(page)
    assert [a for a in addresses.found if not a.startswith("data:")] == []
    assert not re.search(r"url\(|@import|\bfetch\(|XMLHttpRequest|import\(", page)
    assert "default-src 'none'" in page


def test_the_licence_of_the_library_is_in_the_page(tmp_path: Path) -> None:
    page = page_of(tmp_path, COURSE)
    assert "Copyright (c) 2022 Leon Sorokin" in page
    assert "uPlot (v1.6.32)" in page


def test_a_run_that_learned_nothing_gives_a_page(tmp_path: Path) -> None:
    page = page_of(tmp_path, [an_event("crossed")])
    assert "Nothing was learned or tested." in page
    assert charts_of(page) == []


def test_the_curves_of_objects_are_precision_recall_and_mean_average_precision(
    tmp_path: Path,
) -> None:
    (chart,) = charts_of(page_of(tmp_path, FOUND))
    assert chart["title"] == "Objects"
    assert {curve["label"]: (curve["x"], curve["y"]) for curve in chart["curves"]} == {
        "mAP@0.5": ([20, 40], [0.375, 0.4375]),
        "mAP": ([20, 40], [0.25, 0.25]),
        "precision": ([20, 40], [0.75, 0.75]),
        "recall": ([20, 40], [0.5, 0.5]),
        "mAP@0.5 of tests": ([40], [0.5]),
    }


def test_tests_with_objects_have_tables_of_their_own_and_no_accuracy(tmp_path: Path) -> None:
    page = page_of(tmp_path, FOUND)
    assert "Tested on 40 images." in page
    assert "mAP@0.5 of 20 objects in 4 images" in page
    assert re.findall(r"<summary><h2>(.*?)</h2>", page) == ["8 objects in images of the stream"]
    headings = re.findall(r"<thead><tr>(.*?)</tr></thead>", page)
    tests, classes = (re.findall(r"<th[^>]*>(.*?)</th>", heading) for heading in headings)
    assert tests == [
        "After images", "Images", "Objects", "Precision", "Recall", "F1", "mAP@0.5", "mAP",
    ]  # fmt: skip
    assert classes == ["Class", "Precision", "Recall", "F1", "AP@0.5", "AP", "False", "Objects"]
    row = re.search(r'<th scope="row">car</th>(.*?)</tr>', page, re.S)
    assert row is not None
    cells = ["50.0 %", "25.0 %", "37.5 %", "62.5 %", "12.5 %", "3", "6"]
    assert re.findall(r"<td[^>]*>(.*?)</td>", row[1]) == cells
    assert "Confusion matrix" not in page


def test_a_figure_that_a_class_does_not_have_is_a_dash(tmp_path: Path) -> None:
    event = scored_objects(0, "car", 0)
    for name in ("ap", "ap_50"):
        del event["figures"][name]
    assert page_of(tmp_path, [event]).count('<td class="n">-</td>') == 2


def test_tests_of_classes_and_of_objects_are_told_apart_in_one_run(tmp_path: Path) -> None:
    learning = read(tmp_path, [*COURSE, *FOUND, *DETAILS])
    assert [one.figures["n"] for one in learning.of_classes.of("tested")] == [4, 4]
    assert [one.figures["n"] for one in learning.of_objects.of("tested")] == [4]
    assert [part.step for part in learning.of_objects.details] == ["objects"]
    titles = [chart["title"] for chart in charts_of(page_of(tmp_path, [*COURSE, *FOUND]))]
    assert titles == ["Accuracy", "Objects", "Loss and learning rate"]


def test_the_results_of_objects_are_plain_values(tmp_path: Path) -> None:
    found = read(tmp_path, FOUND).as_dict()
    assert found["all"]["map_50"] == 0.4375
    assert found["details"][0]["classes"]["dog"] == {
        "precision": 0.5, "recall": 0.25, "f1": 0.375, "ap_50": 0.625, "ap": 0.125, "n": 2,
        "n_false": 3,
    }  # fmt: skip


def test_a_test_without_known_labels_gives_a_page(tmp_path: Path) -> None:
    events = [an_event(kind, figures={"n": 0, "n_unknown": 3}) for kind in ("tested", "evaluated")]
    assert "Tested on 0 images." in page_of(tmp_path, events)


def test_the_results_are_plain_values(tmp_path: Path) -> None:
    found = read(tmp_path, COURSE + DETAILS).as_dict()
    assert found["all"]["accuracy"] == 0.7
    assert [test["accuracy"] for test in found["tests"]] == [0.75, 1.0]
    assert [(one["uri"], one["serves"]) for one in found["published"]] == [
        ("models/gates@1", 1), ("models/gates@2", 0),
    ]  # fmt: skip
    (part,) = found["details"]
    assert part["classes"]["dog"] == {"precision": 0.5, "recall": 0.25, "f1": 0.125, "n": 6}
    assert part["confused"][2] == {"label": "dog", "predicted": None, "n": 6}


@pytest.mark.parametrize("text", ["no json\n", '{"step": "a"}\n', "[1]\n"])
def test_a_file_that_is_no_file_of_events_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(text)
    with pytest.raises(SourceError, match="must be a file of events, one in JSON a line"):
        read_learning(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere\.jsonl: must be a file of events"):
        read_learning(tmp_path / "nowhere.jsonl")


def test_it_tells_what_became_of_labels_that_came_later(tmp_path: Path) -> None:
    joined = an_event("joined", "labels", figures={"n_joined": 12.0, "n_let_go": 3.0})
    assert "12 joined, 3 let go" in page_of(tmp_path, [*COURSE, joined])
    assert read(tmp_path, COURSE).labels_later == ""


@pytest.mark.parametrize("uri", ["clip.mp4", "rtsp://camera/door"])
def test_pictures_of_a_video_or_a_camera_are_told_apart(uri: str, tmp_path: Path) -> None:
    events = [*COURSE, *(mistaken(uri) | {"sequence": i} for i in (7, 9))]
    page = page_of(tmp_path, [*events, scored(0, "cat", 2)])
    assert f"{uri}, picture 7" in page
    assert f"{uri}, picture 9" in page
    assert "2 times" not in page


def test_of_a_long_path_the_last_two_parts_are_shown_and_the_whole_is_its_title(
    tmp_path: Path,
) -> None:
    page = page_of(tmp_path, [*DETAILS, mistaken("/data/long/gates/cat/1.jpg")])
    assert '<small title="/data/long/gates/cat/1.jpg">cat/1.jpg</small>' in page
