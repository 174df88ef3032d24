"""Signs that are drawn: each class has its own shape, and the same seed gives the same picture."""

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from sightflow.models import zoo
from sightflow.tasks.model_step import open_classifier
from sightflow.testing import a_context
from tools.roads.__main__ import main
from tools.roads.draw_signs import SIGNS, draw
from tools.roads.glyphs import word
from tools.roads.other_boards import draw_other
from tools.roads.photos import is_held_out
from tools.roads.shapes import Disc, Fill, arc, inked, paint, placed
from tools.roads.sign_camera import photograph
from tools.roads.sign_photos import read_some
from tools.roads.signs import LABELS, sign_picture

INKS = {
    "white": (255, 255, 255), "black": (0, 0, 0), "red": (255, 0, 0), "blue": (0, 0, 255),
    "yellow": (255, 255, 0), "grey": (128, 128, 128), "green": (0, 255, 0),
}  # fmt: skip


def flat(board, side=64):
    canvas = np.full((side, side, 3), 255, np.uint8)
    paint(canvas, board.shapes, INKS)
    return canvas


def cover(label, side=64):
    """Return bool [side, side]: what a sign covers."""
    canvas = np.zeros((side, side, 3), np.uint8)
    paint(canvas, inked(draw(label, np.random.default_rng(0)).outline, "white"), INKS)
    return canvas[..., 0] > 127


@pytest.fixture
def photos(tmp_path):
    """Write grey photographs with a stop sign, a crosswalk and a traffic light in each."""
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    images, boxes = [], []
    for number in range(0, 160, 16):
        name = f"road{number}.jpg"
        cv2.imwrite(
            str(tmp_path / "images" / name), rng.integers(0, 255, (90, 120, 3)).astype(np.uint8)
        )
        images.append({"id": number, "file_name": name, "width": 120, "height": 90})
        for category in (2, 3, 4):
            box = [12 * category, 10, 10, 10]
            boxes.append({"image_id": number, "category_id": category, "bbox": box})
    names = ("speedlimit", "crosswalk", "stop", "trafficlight")
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(names)]
    told = {"images": images, "annotations": boxes, "categories": categories}
    (tmp_path / "original4.json").write_text(json.dumps(told))
    return tmp_path


def test_each_class_of_the_benchmark_is_there_once():
    numbers = [sign.gtsrb for sign in SIGNS.values() if sign.gtsrb is not None]
    assert sorted(numbers) == list(range(43))


def test_known_numbers_of_the_benchmark_mean_what_they_do():
    meant = {sign.gtsrb: label for label, sign in SIGNS.items()}
    assert [meant[n] for n in (0, 8, 12, 13, 14, 17, 38, 42)] == [
        "speed limit 20", "speed limit 120", "priority road", "yield", "stop", "no entry",
        "keep right", "end of no overtaking by lorries",
    ]  # fmt: skip


@pytest.mark.parametrize("label", SIGNS)
def test_a_class_looks_alike_with_one_seed_and_not_with_another(label):
    one, same, other = (flat(draw(label, np.random.default_rng(seed))) for seed in (1, 1, 2))

    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_no_two_classes_look_alike():
    pictures = {label: flat(draw(label, np.random.default_rng(1)), 32) for label in SIGNS}
    labels = list(pictures)
    for i, one in enumerate(labels):
        for other in labels[i + 1 :]:
            differing = np.abs(pictures[one].astype(int) - pictures[other]).max(axis=2) > 60
            assert differing.mean() > 0.01, (one, other)


def test_a_stop_sign_covers_an_octagon():
    covered = cover("stop", 200)

    # A regular octagon in its square leaves out four corners: 2 (1 - tan(22.5 deg))^2 / 4 of it.
    assert covered.mean() == pytest.approx(0.828, abs=0.01)
    assert covered[100, 1]
    assert covered[1, 100]
    assert not covered[10, 10]


def test_a_warning_stands_on_its_base_and_a_yield_on_its_tip():
    warning, way = cover("danger").sum(axis=1), cover("yield").sum(axis=1)

    assert warning[50] > 2 * warning[20]
    assert way[14] > 2 * way[44]


def test_a_circle_covers_a_circle_and_a_priority_road_a_square_on_its_corner():
    assert cover("no vehicles", 200).mean() == pytest.approx(np.pi / 4, abs=0.01)

    road = cover("priority road", 200)
    assert road[100, [2, 197]].all()
    assert road[[2, 197], 100].all()
    assert not road[[30, 30, 170, 170], [30, 170, 30, 170]].any()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("turn right", "turn left"),
        ("keep right", "keep left"),
        ("bend to the right", "bend to the left"),
        ("straight or right", "straight or left"),
    ],
)
def test_left_is_right_in_a_mirror(one, other):
    right, left = (
        flat(draw(label, np.random.default_rng(3))).astype(int) for label in (one, other)
    )
    assert np.abs(right[:, ::-1] - left).mean() < 12


def test_shapes_are_painted_where_they_are():
    canvas = np.zeros((40, 40, 3), np.uint8)
    paint(
        canvas,
        (Disc((0.5, 0.5), 0.25, "red"), Fill(((-1, -1), (0, -1), (0, 0), (-1, 0)), "blue")),
        INKS,
    )

    assert canvas[30, 30].tolist() == [255, 0, 0]
    assert canvas[10, 10].tolist() == [0, 0, 255]
    assert canvas[30, 10].tolist() == [0, 0, 0]


def test_what_is_placed_is_scaled_first():
    (disc,) = placed((Disc((1, 0), 0.5),), at=(0.5, 0.0), scale=(-0.5, 0.5))
    assert (disc.middle, disc.radius) == ((0.0, 0.0), 0.25)


def test_an_arc_begins_at_the_right_and_goes_on_at_the_bottom():
    points = arc((1, 2), (2, 1), 0, 90, 2)
    assert np.allclose(points, [(3, 2), (1, 3)])


def test_a_word_is_as_wide_as_its_characters_and_gaps():
    points = np.concatenate(
        [line.points for line in word("50", height=1, width=0.5, weight=0.1, gap=0.2)]
    )

    assert points[:, 1].min() == pytest.approx(-0.45)
    assert points[:, 0].max() == pytest.approx(0.6 - 0.05, abs=0.001)


@pytest.mark.parametrize("seed", range(30))
def test_a_camera_gives_a_small_picture_of_any_board(seed):
    rng = np.random.default_rng(seed)
    picture = photograph(draw_other(rng), np.full((64, 64, 3), 0.5, np.float32), rng)

    assert 8 <= min(picture.shape[:2]) <= max(picture.shape[:2]) <= 80
    assert picture.min() >= 0
    assert picture.max() <= 1


def test_photographs_that_follow_each_other_are_on_one_side():
    sides = [[is_held_out(f"road{16 * block + i}.jpg") for i in range(16)] for block in range(50)]

    assert all(len(set(side)) == 1 for side in sides)
    assert 5 <= sum(side[0] for side in sides) <= 25


def test_a_background_touches_no_box(photos):
    chosen = read_some(photos, held_out=False)
    for path in chosen.paths:
        image = np.zeros((90, 120, 3), np.uint8)
        for _, (x1, y1, x2, y2) in chosen.boxes[path]:
            image[y1:y2, x1:x2] = 255
        cv2.imwrite(str(path.with_suffix(".png")), image)
        path.with_suffix(".png").replace(path)

    rng = np.random.default_rng(0)
    assert max(chosen.background(rng, 16).max() for _ in range(100)) == 0


def test_the_command_writes_a_folder_for_each_label_and_again_the_same(photos, tmp_path):
    for name in ("one", "two"):
        told = CliRunner().invoke(
            main, ["signs", str(photos), str(tmp_path / name), "--n", "1", "--n-test", "1"]
        )
        assert told.exit_code == 0, told.output

    one = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.png"))
    assert {path.parts[1] for path in one} == set(LABELS)
    assert len(one) == 2 * (len(LABELS) - 1 + 6)
    assert all(
        (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()
        for path in one
    )


@pytest.mark.parametrize("label", ["unknown", "stop", "pedestrian crossing", "speed limit 50"])
def test_a_picture_is_uint8_rgb(photos, label):
    picture = sign_picture(label, read_some(photos, held_out=False), np.random.default_rng(4))
    assert (picture.dtype, picture.shape[2]) == (np.uint8, 3)


def test_the_model_that_ships_knows_what_is_drawn():
    model = zoo("road_signs")
    assert sorted(model.card.labels) == sorted(LABELS)

    boards = {label: draw(label, np.random.default_rng(7)) for label in SIGNS}
    pictures = [np.pad(flat(board), ((6, 6), (6, 6), (0, 0)), "edge") for board in boards.values()]
    scores = open_classifier(model, a_context("look"))(pictures)
    told = [model.card.labels[best] for best in scores.argmax(axis=1).tolist()]
    assert np.mean([one == label for one, label in zip(told, boards, strict=True)]) > 0.8
