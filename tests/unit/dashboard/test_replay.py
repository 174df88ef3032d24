"""A page shows where two results differ, and needs neither a script nor another file."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from tests.pictures import draw_video

from sightflow.dashboard.replay import ReplayPage, Sample, write_replay_report
from sightflow.metrics.agreement import Agreement, Comparer
from sightflow.testing import draw_scene, encode_image

Row = dict[str, Any]


def a_row(uri: str, sequence: int = 0, **found: Any) -> Row:
    place = {"uri": uri, "source_id": uri, "sequence": sequence, "event_time_ms": 0}
    return {**place, "width": 320, "height": 240, **found}


def an_object(label: str, score: float, *box: float) -> Row:
    return {**a_class(label, score), "box_xyxy": list(box or (40, 60, 140, 200))}


def a_class(label: str, score: float) -> Row:
    return {"label": label, "class_id": 0, "score": score}


def a_sample(a: Row, b: Row) -> Sample:
    return Sample(a, b, Comparer().compare(a, b))


def a_page(*samples: Sample, **fields: Any) -> ReplayPage:
    agreement = Agreement()
    for sample in samples:
        agreement.update(sample.agreement)
    classes = sorted(agreement.classes.items())
    return ReplayPage(
        "runs/r.jsonl", {"A": "nanodet 1"}, agreement, classes, samples=samples, **fields
    )


def text_of(folder: Path, page: ReplayPage) -> str:
    write_replay_report(folder / "replay.html", page)
    return (folder / "replay.html").read_text("utf-8")


def a_picture(folder: Path, name: str = "a.jpg") -> str:
    (folder / name).write_bytes(encode_image(draw_scene()))
    return str(folder / name)


class Tags(HTMLParser):
    """Counts tags that are open, so that each is closed in its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in ("meta", "img", "br", "rect", "path", "input"):
            self.open.append(tag)
        self.references.extend(v for name, v in attrs if name in ("src", "href"))

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("rect", "path"):
            assert self.open.pop() == tag


def test_it_says_first_how_many_images_are_the_same(tmp_path: Path) -> None:
    uri = a_picture(tmp_path)
    same = a_sample(a_row(uri, classification=[]), a_row(uri, classification=[]))
    other = a_sample(
        a_row(uri, classification=[a_class("cat", 0.5)]),
        a_row(uri, classification=[a_class("dog", 0.75)]),
    )
    page = text_of(tmp_path, a_page(same, other))
    assert "<h1>Replay of r.jsonl</h1>" in page
    assert "B says the same as A of 1 of 2 images, and something else of 1." in page
    assert "50.0 %" in page


def test_both_sides_are_drawn_and_what_changed_is_marked_and_told(tmp_path: Path) -> None:
    uri = a_picture(tmp_path)
    car, bus = an_object("car", 0.5), an_object("bus", 0.75, 200, 10, 300, 100)
    sample = a_sample(a_row(uri, detections=[car]), a_row(uri, detections=[car, bus]))
    page = text_of(tmp_path, a_page(sample))
    assert page.count('src="data:image/jpeg;base64,') == 2
    (mark,) = re.findall(r'<rect x="200" y="10" width="100" height="90"><title>(.*?)</title>', page)
    assert mark == "gained: bus 0.75"
    assert '<b class="gained">gained</b>: bus 0.75' in page
    assert 'alt="What A says: car 0.50"' in page
    assert 'alt="What B says: car 0.50, bus 0.75"' in page
    assert "1 kept" in page


def test_equal_changes_are_told_together(tmp_path: Path) -> None:
    places = [(0, 0, 50, 50), (100, 0, 150, 50), (200, 0, 250, 50)]
    scores = 0.5, 0.75, 0.25
    boxes = [an_object("car", one, *box) for one, box in zip(scores, places, strict=True)]
    uri = a_picture(tmp_path)
    sample = a_sample(a_row(uri, detections=boxes), a_row(uri, detections=[]))
    page = text_of(tmp_path, a_page(sample))
    assert '<b class="lost">lost</b>: 3 x car, 0.25 to 0.75' in page


def test_of_classes_the_picture_is_there_once_with_both_lists(tmp_path: Path) -> None:
    uri = a_picture(tmp_path)
    a = a_row(uri, label="cat", classification=[a_class("cat", 0.5)])
    b = a_row(uri, classification=[a_class("dog", 0.75), a_class("cat", 0.25)])
    page = text_of(tmp_path, a_page(a_sample(a, b)))
    assert page.count('src="data:image/jpeg;base64,') == 1
    assert "<small>label: cat</small>" in page
    assert "cat 0.50 → dog 0.75; cat is number 2 in B" in page
    assert "<td>cat</td><td>dog</td>" in page


def test_a_frame_of_a_video_is_shown_with_its_number(tmp_path: Path) -> None:
    uri = str(draw_video(tmp_path / "clip.mp4", 4))
    pair = a_row(uri, 2, detections=[an_object("car", 0.5)]), a_row(uri, 2, detections=[])
    page = text_of(tmp_path, a_page(a_sample(*pair)))
    assert page.count('src="data:image/jpeg;base64,') == 2
    assert "clip.mp4 <small>frame 2</small>" in page


def test_a_picture_that_is_gone_is_told_in_its_place(tmp_path: Path) -> None:
    uri = str(tmp_path / "gone.jpg")
    pair = a_row(uri, detections=[an_object("car", 0.5)]), a_row(uri, detections=[])
    page = text_of(tmp_path, a_page(a_sample(*pair)))
    assert page.count("cannot be read: No such file") == 2


def test_a_file_that_has_changed_is_shown_as_it_is_now(tmp_path: Path) -> None:
    uri = a_picture(tmp_path)
    a = {**a_row(uri, detections=[an_object("car", 0.5)]), "width": 640, "height": 480}
    page = text_of(tmp_path, a_page(a_sample(a, a_row(uri, detections=[]))))
    assert "The file has another size now" in page
    assert page.count('src="data:image/jpeg;base64,') == 2


def test_images_of_one_side_are_listed_with_the_reason(tmp_path: Path) -> None:
    lost = {"uri": "a.jpg", "sequence": 3, "reason": "corrupt", "message": "cut short"}
    page = text_of(tmp_path, a_page(only=([lost], [])))
    assert "<h2>Only in A</h2>" in page
    assert "<h2>Only in B</h2>" not in page
    assert '<td>a.jpg</td><td class="n">3</td><td>corrupt</td><td>cut short</td>' in page


def test_parts_of_the_input_are_bars(tmp_path: Path) -> None:
    page = text_of(tmp_path, a_page(course=[(4, 4), (4, 1)]))
    # from 60 to 700, in two parts; 170 high: all of it, and a quarter
    assert '<rect class="bar" x="60.5" y="10.0" width="319.0" height="170.0">' in page
    assert '<rect class="bar" x="380.5" y="137.5" width="319.0" height="42.5">' in page
    assert "images 5 to 8: 25.0 % the same" in page


def test_where_all_is_the_same_nothing_else_is_shown(tmp_path: Path) -> None:
    row = a_row(a_picture(tmp_path), classification=[a_class("cat", 0.5)])
    agreement = Agreement()
    agreement.update(Comparer().compare(row, row))
    page = text_of(tmp_path, ReplayPage("r.jsonl", {}, agreement, course=[(1, 1), (0, 0)]))
    assert "B says the same as A of all 1 images." in page
    headings = re.findall("<h2>(.*?)</h2>", page)
    assert headings == ["What was kept, and what changed"]


def test_without_common_images_it_says_so(tmp_path: Path) -> None:
    assert "No image was recognised by both runs." in text_of(tmp_path, a_page())


def test_names_are_no_markup_and_the_page_is_whole_and_stands_alone(tmp_path: Path) -> None:
    uri = a_picture(tmp_path, "<b>ä&.jpg")
    pair = (
        a_row(uri, detections=[an_object("<script>", 0.5)], label="<i>"),
        a_row(uri, detections=[]),
    )
    page = text_of(tmp_path, a_page(a_sample(*pair)))
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert all(reference.startswith("data:") for reference in tags.references)
    assert "<script" not in page
    assert "<i>" not in page
    assert "&lt;b&gt;ä&amp;.jpg" in page
