"""A page shows what a run has found, and needs nothing but itself."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from sightflow.dashboard.report.page import write_report
from sightflow.storage.resultfiles import find_run
from sightflow.testing import draw_scene, encode_image

Row = dict[str, Any]
CLOCK_MS = 1_795_714_643_000


class Shown(HTMLParser):
    """What a page shows: texts, tables by their label, images, and addresses that it loads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.addresses, self.alts = "", list[str](), list[str]()
        self.rows = list[list[str]]()
        self.ids = list[str]()
        self._hidden, self._is_in_cell = 0, False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self._hidden += tag in ("script", "style")
        names = ("src", "href", "srcset", "action", "data", "poster")
        self.addresses += [value or "" for name, value in attrs if name in names]
        if tag == "img":
            self.alts.append(told.get("alt") or "")
        if told.get("id"):
            self.ids.append(told["id"] or "")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
            self._is_in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")
        self._is_in_cell &= tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text += data
            if self._is_in_cell:
                self.rows[-1][-1] += data.strip()


def write(path: Path, *rows: Row) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def classified(*pairs: tuple[str, float]) -> list[Row]:
    return [{"label": label, "class_id": 0, "score": score} for label, score in pairs]


def a_row(folder: Path, name: str, number: int, **found: Any) -> Row:
    where = {"uri": str(folder / name), "source_id": str(folder), "sequence": number}
    use = {"step": "classify", "model": "lite", "model_version": "3", "width": 320, "height": 240}
    return {**where, "event_time_ms": CLOCK_MS + 1_000 * number, **use, **found}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder with two cats and a dog; the results of a run are beside it."""
    folder = tmp_path / "photos"
    for name in ("cat/1.jpg", "cat/2.jpg", "dog/<3>.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encode_image(draw_scene()))
    write(
        tmp_path / "r.jsonl",
        a_row(folder, "cat/1.jpg", 0, classification=classified(("cat", 0.75), ("dog", 0.25))),
        a_row(folder, "cat/2.jpg", 1, classification=classified(("dog", 0.5), ("cat", 0.25))),
        a_row(folder, "dog/<3>.jpg", 2, classification=classified(("dog", 0.5))),
    )
    rejected = {
        "uri": "photos/cut.jpg",
        "step": "decode",
        "reason": "corrupt",
        "message": "cut <short>",
    }
    write(tmp_path / "r.rejected.jsonl", rejected, {**rejected, "uri": "photos/cut2.jpg"})
    summary = {"read": 5, "recognised": 3, "rejected": 2, "seconds": 2.5, "images_per_s": 2.0}
    (tmp_path / "r.summary.json").write_text(json.dumps(summary))
    return folder


def page_of(results: Path, **more: Any) -> str:
    path = results.with_suffix(".html")
    write_report(path, find_run(str(results)), title="gates", **more)
    return path.read_text("utf-8")


def charts_of(page: str) -> dict[str, Any]:
    found = re.findall(r'<script type="application/json" id="chart-\d+">(.*?)</script>', page, re.S)
    return {chart["title"]: chart for chart in map(json.loads, found)}


def test_counts_classes_rejected_and_speed_are_told(photos: Path) -> None:
    shown = Shown(page_of(photos.parent / "r.jsonl"))
    assert "3 images recognised, 2 rejected. In most images: dog (2), cat (1)." in shown.text
    assert ["dog", "2", "66.7 %", "0.50"] in shown.rows
    assert ["cat", "1", "33.3 %", "0.75"] in shown.rows
    assert ["corrupt", "2", "decode", "The file is damaged or cut short."] in shown.rows
    assert ["cut <short>", "2", "photos/cut.jpg"] in shown.rows
    assert ["classify", "lite", "3", "3"] in shown.rows
    assert [str(photos), "3", "2026-11-26 17:37:23", "2026-11-26 17:37:25"] in shown.rows
    assert "2.5" in shown.text


def test_a_page_asks_for_nothing_and_its_policy_forbids_it(photos: Path) -> None:
    page = page_of(photos.parent / "r.jsonl")
    shown = Shown(page)
    assert [a for a in shown.addresses if not a.startswith(("data:image/jpeg;base64,", "#"))] == []
    assert "default-src 'none'" in page
    links = {address[1:] for address in shown.addresses if address.startswith("#")}
    assert links <= set(shown.ids)
    assert len(shown.ids) == len(set(shown.ids))


def test_each_chart_has_its_numbers_as_a_table(photos: Path) -> None:
    page = page_of(photos.parent / "r.jsonl")
    charts, shown = charts_of(page), Shown(page)
    images = charts["Images in each 200 ms"]
    assert images["axis"] == "time"
    assert sum(images["curves"][0]["y"]) == 3
    assert ["from", "images"] in shown.rows
    dog, cat = charts["Classes in each 200 ms"]["curves"]
    assert (dog["label"], sum(dog["y"]), cat["label"], sum(cat["y"])) == ("dog", 2, "cat", 1)
    assert ["2026-11-26 17:37:23", "0", "1"] in shown.rows
    scores = charts["Scores of all"]["curves"][0]
    assert [(round(x, 3), n) for x, n in zip(scores["x"], scores["y"], strict=True) if n] == [
        (0.525, 2), (0.775, 1),
    ]  # fmt: skip
    assert ["0.50 to 0.55", "2", "2", "0"] in shown.rows


def test_samples_are_there_with_what_was_found_for_those_who_cannot_see(photos: Path) -> None:
    shown = Shown(page_of(photos.parent / "r.jsonl"))
    assert "1.jpg: cat 0.75, dog 0.25" in shown.alts
    assert "<3>.jpg: dog 0.50" in shown.alts


def test_a_picture_that_is_gone_is_said_to_be_and_the_page_goes_on(photos: Path) -> None:
    (photos / "cat/1.jpg").unlink()
    shown = Shown(page_of(photos.parent / "r.jsonl"))
    assert "no picture: cannot be read: No such file or directory" in shown.text
    assert "2.jpg: dog 0.50, cat 0.25" in shown.alts


def test_no_pictures_are_there_where_none_are_wanted(photos: Path) -> None:
    shown = Shown(page_of(photos.parent / "r.jsonl", n_samples=0, labels="folders"))
    assert shown.alts == []
    assert "Least sure" not in shown.text
    assert "top-1 accuracy" in shown.text


def test_labels_make_accuracy_matrix_calibration_and_mistakes(photos: Path) -> None:
    shown = Shown(page_of(photos.parent / "r.jsonl", labels="folders"))
    assert "top-1 accuracy66.7 %of 3 with a label" in shown.text
    assert "top-2 accuracy100.0 %" in shown.text
    assert ["cat", "100.0 %", "50.0 %", "66.7 %", "2"] in shown.rows
    assert ["cat", "1", "1"] in shown.rows  # of the matrix: one is right, one was taken for a dog
    assert "is cat 0.25" in shown.text
    assert "Calibration" in shown.text


def test_without_labels_nothing_is_said_of_right_and_wrong(photos: Path) -> None:
    assert "Right and wrong" not in Shown(page_of(photos.parent / "r.jsonl")).text


def test_results_that_lack_images_of_their_summary_are_called_to_attention(photos: Path) -> None:
    lines = (photos.parent / "r.jsonl").read_text().splitlines(keepends=True)
    (photos.parent / "r.jsonl").write_text("".join(lines[:2]))
    shown = Shown(page_of(photos.parent / "r.jsonl"))
    assert "the run has recognised 3 images; the results have 2" in shown.text


def a_track(number: int, label: str = "person") -> Row:
    return {
        "track_id": number,
        "label": label,
        "class_id": 0,
        "score": 0.5,
        "box_xyxy": [0, 0, 9, 9],
    }


def test_tracks_zones_and_lines_of_a_video_are_told(tmp_path: Path) -> None:
    where = {"uri": "gone.mp4", "source_id": "gone.mp4"}
    rows = [
        {**where, "sequence": i, "event_time_ms": 1_000 * i, "width": 32, "height": 24,
         "tracks": [a_track(1), a_track(2)][: 1 + i % 2]}
        for i in range(4)
    ]  # fmt: skip
    write(tmp_path / "t.jsonl", *rows)
    event = {"step": "s", "source_id": "gone.mp4", "sequence": 1, "event_time_ms": 1_000}
    write(
        tmp_path / "t.events.jsonl",
        {**event, "kind": "appeared", "label": "person", "track_id": 1},
        {**event, "kind": "crossed", "zone": "gate", "direction": "in", "label": "person"},
        {**event, "kind": "exited", "zone": "yard", "duration_ms": 61_000, "label": "person"},
        {**event, "kind": "left", "label": "person", "duration_ms": 3_000, "track_id": 1},
    )
    page = page_of(tmp_path / "t.jsonl")
    shown, charts = Shown(page), charts_of(page)
    assert ["person", "4", "100.0 %", "6", "2", "0.50"] in shown.rows
    assert ["person", "1", "3 s", "3 s"] in shown.rows
    assert ["gate", "1", "-", "-", "-", "-", "-", "person: 1 in"] in shown.rows
    assert ["yard", "-", "-", "-", "1", "1 min 1 s", "1 min 1 s", "person: 1 exited"] in shown.rows
    assert ["0:01.0", "crossed", "person", "gate in", "", "gone.mp4", "1"] in shown.rows
    followed = charts["Objects that were followed in an image, mean of 1 s"]
    assert followed["axis"] == "video"
    assert [y for y in followed["curves"][0]["y"] if y is not None] == [1, 2, 1, 2]
    assert charts["gate: how many so far"]["curves"][0]["y"][-1] == 1
    assert "gone.mp4, frame 1, 0:01.0" in shown.text


def test_a_run_that_read_nothing_has_a_page_too(tmp_path: Path) -> None:
    write(tmp_path / "r.jsonl")
    (tmp_path / "r.summary.json").write_text('{"read": 0, "recognised": 0, "rejected": 0}')
    shown = Shown(page_of(tmp_path / "r.jsonl"))
    assert "0 images recognised, none rejected." in shown.text
    assert shown.rows == []


def test_the_page_of_many_rows_stays_small(tmp_path: Path) -> None:
    rows = (
        a_row(tmp_path, f"{i}.jpg", i, classification=classified((f"class {i % 900}", 0.5)))
        for i in range(20_000)
    )
    write(tmp_path / "r.jsonl", *rows)
    told: list[tuple[str, int, int]] = []
    page = page_of(tmp_path / "r.jsonl", on_progress=lambda *done: told.append(done))
    assert len(page) < 1_000_000
    assert "700 classes that are rarer are left out" in page
    assert {what for what, _, _ in told} == {"reading, MiB", "pictures"}
    assert all(0 <= done <= total for _, done, total in told)


def test_beside_scenes_a_card_of_a_classification_names_the_class_first(photos: Path) -> None:
    scene = [{"label": "indoor", "score": 0.9, "class_id": 1}]
    cat = classified(("dog", 0.5), ("cat", 0.25))
    write(photos.parent / "s.jsonl", a_row(photos, "cat/2.jpg", 1, classification=cat, scene=scene))
    page = page_of(photos.parent / "s.jsonl", labels="folders")
    assert "<b>dog</b> 0.50<br>is cat 0.25" in page
    firsts = re.findall(r'<dl class="found">\s*<div><dt>([^<]+)</dt><dd>([^<]+)', page)
    # A sample of the class, one of the scene, and the least sure image.
    assert firsts == [("dog", "0.50"), ("scene: indoor", "0.90"), ("dog", "0.50")]


def test_rejected_images_are_taken_from_the_summary_where_their_file_is_gone(photos: Path) -> None:
    (photos.parent / "r.rejected.jsonl").unlink()
    shown = Shown(page_of(photos.parent / "r.jsonl"))
    assert "3 images recognised, 2 rejected." in shown.text
    assert "the run has rejected 2 images; the files beside the results tell of 0" in shown.text
    assert "each image was read" not in shown.text


def test_events_alone_tell_the_whole_time(tmp_path: Path) -> None:
    event = {"step": "track", "source_id": "a.mp4", "sequence": 0, "label": "person"}
    write(
        tmp_path / "events.jsonl",
        {**event, "event_time_ms": 0, "kind": "appeared", "track_id": 1},
        {**event, "event_time_ms": 8_800, "kind": "crossed", "zone": "gate", "direction": "in"},
        {**event, "event_time_ms": 29_700, "kind": "left", "duration_ms": 29_700, "track_id": 1},
    )
    assert "0:00.0 to 0:29.7, 29.7 s" in Shown(page_of(tmp_path / "events.jsonl")).text


def test_of_many_classes_the_charts_tell_how_many_they_leave_out(tmp_path: Path) -> None:
    rows = [
        a_row(tmp_path, f"{i}.jpg", i, classification=classified((f"class {i:02d}", 0.5)))
        for i in range(20)
    ]
    write(tmp_path / "r.jsonl", *rows)
    shown = Shown(page_of(tmp_path / "r.jsonl"))
    assert "the 6 classes in most images, and 14 more are not shown" in shown.text
    assert "the 12 classes in most images, and 8 more are not shown" in shown.text


@pytest.mark.parametrize("n", [1, 2])
def test_times_of_several_videos_are_told_to_lie_over_each_other(n: int, tmp_path: Path) -> None:
    rows = [
        {
            **a_row(tmp_path, f"{i % n}.mp4", i),
            "source_id": f"{i % n}.mp4",
            "event_time_ms": 900 * i,
        }
        for i in range(6)
    ]
    write(tmp_path / "r.jsonl", *rows)
    text = Shown(page_of(tmp_path / "r.jsonl")).text
    assert ("The times of 2 videos lie over each other." in text) == (n == 2)
