import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from tools.roads.__main__ import main
from tools.roads.draw_lights import STATES, draw_light
from tools.roads.errors import RoadsError
from tools.roads.photos import is_held_out, read_photos

# --- a small folder like that of the photos ------------------------------------------------------

TRAIN, TEST = "road56.png", "road0.png"
"""In blocks of photos for training and for tests."""
CATEGORIES = [
    {"id": 1, "name": "speedlimit"},
    {"id": 2, "name": "crosswalk"},
    {"id": 3, "name": "stop"},
    {"id": 4, "name": "trafficlight"},
]


def a_picture(path, colour=(200, 100, 50), size=(90, 120)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((*size, 3), colour[::-1], np.uint8))


def annotations(names, boxes):
    return {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
        "categories": CATEGORIES,
        "annotations": [
            {"id": i, "image_id": image, "category_id": category, "bbox": box}
            for i, (image, category, box) in enumerate(boxes)
        ],
    }


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for name in (TRAIN, TEST):
        a_picture(folder / "images" / name)
    boxes = [(0, 1, [10, 20, 30, 40]), (0, 4, [60, 5, 20, 60]), (1, 3, [1, 2, 50, 50])]
    (folder / "original4.json").write_text(json.dumps(annotations([TRAIN, TEST], boxes)))
    return folder


@pytest.fixture
def crops(tmp_path):
    folder = tmp_path / "crops"
    for part in ("train", "test"):
        for state, size in (("red", (60, 30)), ("green", (33, 30))):
            a_picture(folder / f"dataset_{part}" / state / "one.jpg", size=size)
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def make(*words):
    done = CliRunner().invoke(main, [*map(str, words)])
    assert done.exit_code == 0, done.output
    return done.output


def cutouts(out, label):
    return {
        path.stem: cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        for path in (out / "cutouts" / label).glob("*.png")
    }


# --- which photos are for tests ------------------------------------------------------------------


def test_sixteen_neighbours_are_all_held_out_or_none():
    parts = [{is_held_out(f"road{16 * block + i}.jpg") for i in range(16)} for block in range(55)]

    assert all(len(part) == 1 for part in parts)
    assert 0.2 < sum(True in part for part in parts) / 55 < 0.4


def test_a_photo_without_a_number_is_in_no_part():
    with pytest.raises(RoadsError, match=r"street\.png: a photo must be called road and a number"):
        is_held_out("street.png")


# --- frames --------------------------------------------------------------------------------------


def test_frames_keep_their_bytes_and_their_boxes(photos, crops, out):
    make("frames", photos, out, "--crops", crops, "--drawn", 0)

    copy = out / "frames" / "train" / TRAIN
    assert copy.read_bytes() == (photos / "images" / TRAIN).read_bytes()
    assert not (out / "frames" / "train" / TEST).exists()
    train, test = (
        json.loads((out / "frames" / f"{p}.json").read_text()) for p in ("train", "test")
    )
    assert [one["bbox"] for one in train["annotations"]] == [[10, 20, 30, 40], [60, 5, 20, 60]]
    assert [one["bbox"] for one in test["annotations"]] == [[1, 2, 50, 50]]
    assert [one["file_name"] for one in test["images"]] == [TEST]
    assert test["categories"] == CATEGORIES


def test_what_can_be_pasted_comes_from_photos_for_training_only(photos, crops, out):
    told = make("frames", photos, out, "--crops", crops, "--drawn", 2)

    assert told.splitlines() == [
        f"{out}  frames: 1 test, 1 train  cut-outs: 1 speedlimit, 4 trafficlight"
    ]
    assert sorted(cutouts(out, "trafficlight")) == ["drawn0", "drawn1", "red_one", "road56_1"]
    assert not (out / "cutouts" / "stop").exists()


def test_a_round_sign_is_cut_out_along_an_ellipse_and_a_light_along_its_box(photos, crops, out):
    make("frames", photos, out, "--crops", crops, "--drawn", 0)

    sign, light = cutouts(out, "speedlimit")["road56_0"], cutouts(out, "trafficlight")["road56_1"]
    assert sign.shape == (40, 30, 4)
    assert sign[0, 0, 3] == sign[-1, -1, 3] == 0
    assert sign[20, 1, 3] == sign[1, 15, 3] == sign[20, 15, 3] == 255
    assert sign[20, 15, :3].tolist() == [50, 100, 200]
    assert light.shape == (60, 20, 4)
    assert (light[..., 3] == 255).all()


def test_small_objects_are_not_cut_out(photos, crops, out):
    boxes = [(0, 1, [10, 20, 15, 40]), (0, 1, [10, 20, 16, 16])]
    (photos / "original4.json").write_text(json.dumps(annotations([TRAIN, TEST], boxes)))

    make("frames", photos, out, "--crops", crops, "--drawn", 0)

    assert list(cutouts(out, "speedlimit")) == ["road56_1"]


def test_equal_seeds_draw_equal_lights(photos, crops, tmp_path):
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        make("frames", photos, tmp_path / name, "--crops", crops, "--drawn", 1, "--seed", seed)

    a, b, c = (cutouts(tmp_path / name, "trafficlight")["drawn0"] for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_annotations_that_are_not_there_are_told(photos, crops, out):
    (photos / "original4.json").unlink()

    done = CliRunner().invoke(main, ["frames", str(photos), str(out), "--crops", str(crops)])

    assert done.exit_code == 1
    assert "original4.json: cannot be read: No such file" in done.output


def test_annotations_of_another_form_are_told(photos):
    (photos / "original4.json").write_text('{"images": []}')

    with pytest.raises(RoadsError, match="form of COCO; annotations, categories is missing"):
        list(read_photos(photos, "original4.json"))


def test_a_photo_that_is_not_there_is_told(photos):
    (photos / "images" / TRAIN).unlink()

    with pytest.raises(RoadsError, match=r"road56\.png: original4\.json names it"):
        list(read_photos(photos, "original4.json"))


def test_a_package_without_pictures_is_told(photos, tmp_path, out):
    done = CliRunner().invoke(main, ["frames", str(photos), str(out), "--crops", str(tmp_path)])

    assert done.exit_code == 1
    assert "must have pictures, dataset_train/STATE/*.jpg" in done.output


# --- drawn lights --------------------------------------------------------------------------------


def lights_of(state, n=20, **how):
    rng = np.random.default_rng(5)
    return [draw_light(rng, state, **how) for _ in range(n)]


def colourful(light):
    """How much brighter the strongest colour is than the weakest, and how bright; [H, W]."""
    rgb = light.rgba[..., :3].astype(int)
    return (rgb.max(2) - rgb.min(2)) * rgb.max(2) * (light.rgba[..., 3] > 127)


@pytest.mark.parametrize("state", STATES)
def test_a_drawn_light_fills_its_picture_and_is_transparent_beside_it(state):
    for light in lights_of(state):
        opaque = light.rgba[..., 3] > 127
        height, width = opaque.shape
        assert light.state == state
        assert light.rgba.dtype == np.uint8
        assert all(edge.any() for edge in (opaque[0], opaque[-1], opaque[:, 0], opaque[:, -1]))
        assert opaque[height // 2, width // 2]
        assert not opaque.all()
        assert height > 1.2 * width


@pytest.mark.parametrize(
    ("state", "third", "order"), [("red", 0, (0, 1, 2)), ("green", 2, (1, 2, 0))]
)
def test_what_is_lit_is_in_its_place_and_of_its_colour(state, third, order):
    for light in lights_of(state):
        strength = cv2.blur(colourful(light).astype(np.float32), (9, 9))
        y, x = np.unravel_index(strength.argmax(), strength.shape)
        strongest, _, weakest = order
        assert y * 3 // len(strength) == third
        assert light.rgba[y, x, strongest] > light.rgba[y, x, weakest] + 60


def paleness(light):
    """The weakest colour along the middle of a light, without the edge of its plate, smoothed."""
    height, width = light.rgba.shape[:2]
    rows, columns = slice(height // 7, -height // 7), slice(width // 3, -width // 3)
    return cv2.blur(light.rgba[rows, columns, :3].min(2), (9, 9))


def test_a_yellow_light_is_lit_in_the_middle():
    for light in lights_of("yellow"):
        pale = paleness(light)
        y, _ = np.unravel_index(pale.argmax(), pale.shape)
        assert y * 3 // len(pale) == 1


def test_no_lens_is_lit_where_a_light_is_off():
    assert max(paleness(light).max() for light in lights_of("off")) < 150
    assert min(paleness(light).max() for light in lights_of("red")) > 100


def test_chance_chooses_among_all_states():
    rng = np.random.default_rng(1)

    assert {draw_light(rng).state for _ in range(40)} == set(STATES)


def test_a_light_that_is_hard_to_see_still_shows_its_colour_where_its_lamp_is():
    for light in lights_of("red", is_hard=True):
        rgb = light.rgba[..., :3].astype(int)
        redness = (rgb[..., 0] - rgb[..., 1:].max(2)) * (light.rgba[..., 3] > 127)
        upper, lower = redness[: len(rgb) // 2], redness[len(rgb) // 2 :]
        assert light.state == "red"
        assert upper.max() > 40
        assert upper.max() > lower.max()


# --- crops of lights -----------------------------------------------------------------------------


@pytest.fixture
def states(photos):
    """Annotations of states, of a red light to learn from and a green one to test with."""
    boxes = [(0, 4, [60, 5, 20, 60]), (0, 1, [10, 20, 30, 40]), (1, 5, [1, 2, 30, 50])]
    told = annotations([TRAIN, TEST], boxes)
    lights = ["redlight", "greenlight", "unlight"]
    told["categories"] = CATEGORIES[:3] + [{"id": i + 4, "name": n} for i, n in enumerate(lights)]
    (photos / "lightstate.json").write_text(json.dumps(told))
    return told


def crops_in(folder):
    return sorted(path.name for path in folder.glob("*"))


def make_lights(photos, crops, out, **how):
    options = {"drawn": 0, "views": 1, **how}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return make("lights", photos, out, "--crops", crops, *words)


def test_what_is_held_out_is_cut_along_its_box_and_nothing_of_it_is_learned_from(
    photos, crops, states, out
):
    told = make_lights(photos, crops, out)

    assert told == f"{out}  2 test/green, 1 test/red, 1 train/green, 2 train/red\n"
    assert crops_in(out / "test" / "green") == ["package_one.jpg", "road0_0.png"]
    assert cv2.imread(str(out / "test" / "green" / "road0_0.png")).shape == (50, 30, 3)
    assert crops_in(out / "train" / "red") == ["package_one.jpg", "road56_0_0.png"]


def test_a_light_to_learn_from_has_several_views_with_more_or_less_around_it(
    photos, crops, states, out
):
    make_lights(photos, crops, out, views=8)

    views = [cv2.imread(str(path)).shape[:2] for path in (out / "train" / "red").glob("road*")]
    assert len(views) == 8
    assert len(set(views)) > 4
    assert all(54 <= height <= 75 and 16 <= width <= 29 for height, width in views)


def test_a_box_that_is_too_small_to_tell_is_not_learned_from(photos, crops, states, out):
    states["annotations"][0]["bbox"] = [60, 5, 9, 30]
    (photos / "lightstate.json").write_text(json.dumps(states))

    make_lights(photos, crops, out)

    assert crops_in(out / "train" / "red") == ["package_one.jpg"]


def test_lights_of_each_state_are_drawn_for_training_and_places_without_any_are_off(
    photos, crops, states, out
):
    make_lights(photos, crops, out, drawn=4)

    for state in STATES:
        drawn = {name for name in crops_in(out / "train" / state) if name.startswith("drawn")}
        assert drawn == {f"drawn{i}.png" for i in range(4)}
    assert [name for name in crops_in(out / "train" / "off") if name.startswith("nothing")] == [
        "nothing0.png",
        "nothing2.png",
    ]
    assert not list((out / "test").glob("*/drawn*"))


def test_what_is_behind_a_drawn_light_shows_no_annotated_box(photos, crops, states, out):
    image = cv2.imread(str(photos / "images" / TRAIN))
    image[5:65, 60:80] = image[20:60, 10:40] = (255, 0, 255)
    cv2.imwrite(str(photos / "images" / TRAIN), image)

    make_lights(photos, crops, out, drawn=6)

    for path in (out / "train" / "off").glob("nothing*"):
        blue_green = cv2.imread(str(path))[..., :2].astype(int)
        assert (blue_green[..., 0] - blue_green[..., 1]).max() < 200


def test_equal_seeds_make_equal_crops(photos, crops, states, tmp_path):
    for name in "ab":
        make_lights(photos, crops, tmp_path / name, drawn=1, views=2)

    a, b = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in files}
        for name in "ab"
        for files in [sorted((tmp_path / name).rglob("*.png"))]
    )
    assert len(a) == 8
    assert a == b


def test_annotations_of_states_that_are_not_there_are_told(photos, crops, out):
    done = CliRunner().invoke(main, ["lights", str(photos), str(out), "--crops", str(crops)])

    assert done.exit_code == 1
    assert "lightstate.json: cannot be read: No such file" in done.output


# --- what is said of them ------------------------------------------------------------------------


def test_states_are_counted_for_photos_that_are_held_out_and_for_all(photos, states):
    told = json.loads(make("states", photos))

    n_lights = {name: figures["lights"] for name, figures in told.items()}
    assert n_lights == {"held_out": 1, "held_out_moved": 10, "all": 2}
    for figures in told.values():
        wrong = sum(n for *_, n in figures["confused"])
        assert figures["right"] + wrong == figures["lights"]
        assert sum(n for _, n in figures["by_state"].values()) == figures["lights"]
    assert sorted(told["all"]["by_state"]) == ["green", "red"]
