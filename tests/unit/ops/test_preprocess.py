"""Preprocessing against numbers by hand, OpenCV, Pillow and torchvision's formula."""

import pickle
import re
import tracemalloc

import cv2
import numpy as np
import pytest
from PIL import Image

from sightflow.errors import PipelineError
from sightflow.ops.preprocess import INTERPOLATIONS, Placement, Preprocess
from sightflow.testing import draw_scene


def prepared(pixels, **options):
    return Preprocess(**options).compile()(pixels)[0]


def blank(width, height, colour=(200, 100, 50)):
    return np.full((height, width, 3), colour, np.uint8)


def numbered(width, height):
    """Return a picture whose red is the column and whose green is the row."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.zeros_like(x)], axis=2).astype(np.uint8)


# --- sizes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, (20, 40, 3)),
        ({"resize": 10}, (10, 20, 3)),
        ({"resize": 30}, (30, 60, 3)),
        ({"stretch": (10, 30)}, (10, 30, 3)),
        ({"letterbox": (32, 24)}, (32, 24, 3)),
        ({"crop": (6, 8)}, (6, 8, 3)),
        ({"crop": (30, 8)}, (30, 8, 3)),
        ({"resize": 10, "crop": (10, 10)}, (10, 10, 3)),
    ],
)
def test_the_size_of_the_result(options, shape):
    assert prepared(blank(40, 20), **options).shape == shape


def test_resize_sets_the_short_side_of_a_tall_picture_too():
    assert prepared(blank(20, 50), resize=10).shape == (25, 10, 3)


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, None),
        ({"resize": 256}, None),
        ({"resize": 256, "crop": (224, 200)}, (224, 200)),
        ({"letterbox": (416, 320)}, (416, 320)),
        ({"stretch": (10, 20)}, (10, 20)),
        ({"stretch": (10, 20), "crop": (5, 6)}, (5, 6)),
    ],
)
def test_the_size_is_known_beforehand_where_it_does_not_depend_on_the_picture(options, size):
    assert Preprocess(**options).size == size


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1)])
@pytest.mark.parametrize("options", [{"letterbox": (32, 32)}, {"stretch": (32, 32)}])
def test_a_picture_of_one_pixel_or_one_line_is_prepared(size, options):
    assert prepared(blank(*size), **options).shape == (32, 32, 3)


def test_a_long_line_of_pixels_does_not_need_memory_without_bound():
    """A short side of 1 scaled to 256 makes the long side 512,000, of which 224 are used."""
    prepare = Preprocess(resize=256, crop=(224, 224)).compile()
    line = blank(2000, 1)
    tracemalloc.start()

    result, _ = prepare(line)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.shape == (224, 224, 3)
    assert peak < 100 << 20


@pytest.mark.parametrize(
    ("options", "scale"),
    [
        ({"resize": 256}, 0.5),
        ({"letterbox": (256, 256)}, 0.25),
        ({"stretch": (256, 768)}, 0.75),  # the larger of 256 / 512 and 768 / 1024
        ({"resize": 2000}, 1.0),
        ({"crop": (10, 10)}, 1.0),
        ({}, 1.0),
    ],
)
def test_the_scale_at_which_a_picture_of_1024_by_512_is_good_enough(options, scale):
    assert Preprocess(**options).scale_for(1024, 512) == scale


# --- where the picture lies ----------------------------------------------------------------------


@pytest.mark.parametrize(("anchor", "top"), [("center", 5), ("top_left", 0)])
def test_a_letterbox_keeps_the_aspect_ratio_and_fills_the_rest(anchor, top):
    result = prepared(blank(40, 20), letterbox=(20, 20), anchor=anchor, fill=(1, 2, 3))

    inside = np.zeros(20, bool)
    inside[top : top + 10] = True
    assert (result[inside] == (200, 100, 50)).all()
    assert (result[~inside] == (1, 2, 3)).all()


def test_a_letterbox_of_a_tall_picture_has_its_bars_at_the_sides():
    result = prepared(blank(20, 40), letterbox=(20, 20))

    assert (result[:, 5:15] == (200, 100, 50)).all()
    assert (result[:, :5] == 0).all()
    assert (result[:, 15:] == 0).all()


def test_the_middle_is_cut_out():
    result = prepared(numbered(6, 4), crop=(2, 2))

    assert result[:, :, 0].tolist() == [[2, 3], [2, 3]]
    assert result[:, :, 1].tolist() == [[1, 1], [2, 2]]


@pytest.mark.parametrize("size", [(5, 4), (4, 5), (7, 3), (3, 7), (5, 5)])
def test_a_crop_has_its_size_where_the_rest_cannot_be_halved(size):
    width, height = size
    crop = prepared(numbered(width, height), crop=(4, 4), fill=(9, 9, 9))

    assert crop.shape == (4, 4, 3)
    shown = crop[(crop[:, :, 2] == 0)]
    assert len(shown) == min(width, 4) * min(height, 4)
    assert np.ptp(shown[:, 0]) == min(width, 4) - 1
    assert np.ptp(shown[:, 1]) == min(height, 4) - 1


def test_of_a_very_tall_picture_the_middle_is_cut_out():
    rows = np.linspace(0, 255, 4_000).astype(np.uint8)
    tall = np.broadcast_to(rows[:, None, None], (4_000, 20, 3))

    crop = prepared(np.ascontiguousarray(tall), resize=20, crop=(20, 20))

    assert crop.mean() == pytest.approx(127.5, abs=1.5)


def test_a_picture_smaller_than_the_crop_is_filled_up():
    result = prepared(blank(2, 6), crop=(4, 4), fill=(7, 8, 9))

    assert (result[:, 1:3] == (200, 100, 50)).all()
    assert (result[:, [0, 3]] == (7, 8, 9)).all()


# --- samples -------------------------------------------------------------------------------------


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("height_width", [(90, 130), (300, 401)])
def test_scaling_equals_opencv(interpolation, height_width):
    pixels = draw_scene(211, 157)

    result = prepared(pixels, stretch=height_width, interpolation=interpolation)

    flag = {
        "nearest": cv2.INTER_NEAREST,
        "bilinear": cv2.INTER_LINEAR,
        "bicubic": cv2.INTER_CUBIC,
        "area": cv2.INTER_AREA if height_width[0] < 157 else cv2.INTER_LINEAR,
    }[interpolation]
    assert (result == cv2.resize(pixels, height_width[::-1], interpolation=flag)).all()


def test_a_picture_that_is_enlarged_by_area_is_smooth():
    """OpenCV itself would repeat each pixel four times."""
    edge = np.zeros((4, 4, 3), np.uint8)
    edge[:, 2:] = 200

    row = prepared(edge, stretch=(16, 16), interpolation="area")[0, :, 0]

    assert len(set(row.tolist())) > 2


def test_a_moderate_enlargement_equals_pillow_but_for_rounding():
    """Pillow's BILINEAR is the same formula when it enlarges."""
    pixels = draw_scene(160, 120)

    result = prepared(pixels, stretch=(150, 200))

    pillow = np.asarray(Image.fromarray(pixels).resize((200, 150), Image.Resampling.BILINEAR))
    assert np.abs(result.astype(int) - pillow).max() <= 1


def test_a_slight_reduction_is_close_to_pillow():
    """Pillow averages over more pixels when it shrinks; by a tenth that is a little."""
    pixels = draw_scene(160, 120)

    result = prepared(pixels, stretch=(108, 144))

    pillow = np.asarray(Image.fromarray(pixels).resize((144, 108), Image.Resampling.BILINEAR))
    assert np.abs(result.astype(int) - pillow).mean() < 1


MEAN_STD = {"mean": (1, 2, 3), "std": (2, 4, 5)}


@pytest.mark.parametrize(
    ("options", "values"),
    [
        (MEAN_STD, [4.5, 4.5, 5.4]),  # (10 - 1) / 2, (20 - 2) / 4, (30 - 3) / 5
        ({**MEAN_STD, "channels": "BGR"}, [14.5, 4.5, 1.4]),  # (30 - 1) / 2, ..., (10 - 3) / 5
        ({"mean": (1, 2, 3)}, [9, 18, 27]),
        ({"std": (2, 4, 5)}, [5, 5, 6]),
    ],
)
@pytest.mark.parametrize("layout", ["CHW", "HWC"])
def test_normalising_by_hand(options, values, layout):
    result = prepared(blank(3, 2, (10, 20, 30)), **options, layout=layout)

    channel_axis = 0 if layout == "CHW" else 2
    assert result.dtype == np.float32
    assert result.shape == ((3, 2, 3) if layout == "CHW" else (2, 3, 3))
    for value, plane in zip(values, np.moveaxis(result, channel_axis, 0), strict=True):
        assert plane == pytest.approx(np.full((2, 3), value), abs=1e-6)


def test_planes_keep_rows_and_columns():
    result = prepared(numbered(3, 2), std=(1, 1, 1))

    assert result[0].tolist() == [[0, 1, 2], [0, 1, 2]]
    assert result[1].tolist() == [[0, 0, 0], [1, 1, 1]]


def test_without_mean_and_std_the_result_is_uint8_in_the_order_of_channels():
    result = prepared(blank(3, 2, (10, 20, 30)), channels="BGR")

    assert result.dtype == np.uint8
    assert result.shape == (2, 3, 3)
    assert (result == (30, 20, 10)).all()
    assert result.flags.c_contiguous


def test_normalising_equals_torchvision():
    """torchvision: (x / 255 - mean) / std; here mean and std are given in units of 0 to 255."""
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    every = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2)

    result = prepared(every, mean=tuple(mean * 255), std=tuple(std * 255))

    expected = (every / 255.0 - mean) / std
    assert np.abs(result - expected.transpose(2, 0, 1)).max() < 1e-6


def test_the_picture_itself_is_not_changed():
    pixels = draw_scene(40, 30)
    before = pixels.copy()

    result = prepared(pixels)
    result[:] = 0

    assert (prepared(before, channels="BGR")[:, :, ::-1] == before).all()


# --- back to the source --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((400, 200), {"letterbox": (200, 200)}),
        ((333, 217), {"letterbox": (416, 416)}),
        ((217, 333), {"letterbox": (416, 416), "anchor": "top_left"}),
        ((300, 200), {"stretch": (416, 352)}),
        ((210, 180), {"resize": 256, "crop": (250, 280)}),
        ((180, 160), {"crop": (200, 200)}),
    ],
)
def test_a_box_drawn_on_the_source_comes_back(size, options):
    box = (60, 40, 150, 130)
    pixels = blank(*size, (0, 0, 0))
    pixels[box[1] : box[3], box[0] : box[2]] = 255

    result, placement = Preprocess(**options).compile()(pixels)

    y, x = np.nonzero(result[:, :, 0] >= 128)
    seen = np.array([[x.min(), y.min(), x.max() + 1, y.max() + 1]], np.float32)
    assert np.abs(placement.to_source(seen) - box).max() <= 0.5


def test_placement_of_a_very_long_picture_by_hand():
    # 20 x 2000 becomes 10 x 1000, and its middle 10 are cut out: u = 0 is x = 990.
    prepare = Preprocess(resize=10, crop=(10, 10)).compile()
    for pixels, is_wide in ((blank(2000, 20), True), (blank(20, 2000), False)):
        _, placement = prepare(pixels)
        pads = (placement.pad_x, placement.pad_y) if is_wide else (placement.pad_y, placement.pad_x)
        assert (placement.scale_x, placement.scale_y, *pads) == (0.5, 0.5, -495, 0)


def test_a_picture_that_is_not_long_is_scaled_whole():
    assert (prepared(numbered(8, 8), resize=8, crop=(8, 8)) == numbered(8, 8)).all()


@pytest.mark.parametrize(("size", "scale"), [((50, 50), 2), ((100, 25), 2), ((20, 100), 1)])
def test_a_letterbox_is_filled_as_far_as_the_narrower_side_allows(size, scale):
    _, placement = Preprocess(letterbox=(100, 200)).compile()(blank(*size))

    assert (placement.scale_x, placement.scale_y) == (scale, scale)


@pytest.mark.parametrize(
    ("options", "n_pixels"),
    [
        ({}, 400 * 200),
        ({"resize": 50}, 100 * 50),
        ({"stretch": (10, 30)}, 10 * 30),
        ({"letterbox": (32, 24)}, 32 * 24),
        ({"resize": 50, "crop": (20, 10)}, 20 * 10),
    ],
)
def test_the_pixels_of_the_result_are_counted_before_anything_is_decoded(options, n_pixels):
    assert Preprocess(**options).n_pixels_for(400, 200) == n_pixels


def test_placement_by_hand():
    prepare = Preprocess(letterbox=(100, 100)).compile()

    _, placement = prepare(blank(400, 200))

    assert placement == Placement(scale_x=0.25, scale_y=0.25, pad_x=0, pad_y=25)
    back = placement.to_source(np.array([[10, 30, 20, 50]], np.float32))
    assert back.tolist() == [[40, 20, 80, 100]]
    assert back.dtype == np.float32


def test_the_scale_of_a_placement_is_that_of_the_rounded_size():
    _, placement = Preprocess(letterbox=(10, 10)).compile()(blank(3, 4))  # 7.5 x 10 -> 8 x 10

    assert (placement.scale_x, placement.scale_y) == (pytest.approx(8 / 3), 2.5)


# --- the description -----------------------------------------------------------------------------


def test_a_preprocess_survives_pickling():
    preprocess = Preprocess(resize=256, crop=(224, 224), mean=(1, 2, 3))

    assert pickle.loads(pickle.dumps(preprocess)) == preprocess


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"resize": 8, "letterbox": (8, 8)},
            "at most one of resize, stretch and letterbox; got ['resize', 'letterbox']",
        ),
        ({"resize": -1}, "`resize` is in pixels, from 1; got -1"),
        ({"resize": 0}, "`resize` is in pixels, from 1; got 0"),
        ({"stretch": (0, 5)}, "`stretch` is in pixels, from 1; got (0, 5)"),
        ({"letterbox": (5, -5)}, "`letterbox` is in pixels, from 1; got (5, -5)"),
        ({"crop": (0, 0)}, "`crop` is in pixels, from 1; got (0, 0)"),
        (
            {"interpolation": "lanczos"},
            "`interpolation` is one of nearest, bilinear, bicubic, area; got 'lanczos'",
        ),
        ({"std": (1, 0, 1)}, "`std` must not contain 0; got (1, 0, 1)"),
    ],
)
def test_what_contradicts_itself_is_refused(options, message):
    with pytest.raises(PipelineError, match=re.escape(f"Preprocess: {message}")):
        Preprocess(**options)


@pytest.mark.parametrize(
    ("name", "value"), [("anchor", "topleft"), ("channels", "bgr"), ("layout", "NHWC")]
)
def test_a_word_that_is_none_of_the_choices_is_refused(name, value):
    with pytest.raises(PipelineError, match=f"`{name}` is one of .*; got '{value}'"):
        Preprocess(**{name: value})


@pytest.mark.parametrize(
    "options",
    [
        {"crop": (12, 10), "mean": (10, 20, 30), "std": (2, 3, 4)},
        {"crop": (12, 10), "mean": (10, 20, 30), "std": (2, 3, 4), "channels": "BGR"},
        {"crop": (12, 10), "std": (2, 3, 4), "layout": "HWC"},
        {"crop": (12, 10), "channels": "BGR"},
    ],
)
def test_a_result_may_be_written_into_a_batch(options):
    preprocess = Preprocess(**options)
    prepare = preprocess.compile()
    pixels = np.random.default_rng(0).integers(0, 256, (30, 20, 3), np.uint8)
    alone, placement = prepare(pixels)
    batch = np.zeros((2, *preprocess.shape), alone.dtype)

    result, again = prepare(pixels, batch[1])

    assert (batch[1] == alone).all()
    assert np.shares_memory(result, batch)
    assert again == placement
    assert not batch[0].any()


def test_the_shape_is_known_where_the_size_is():
    assert Preprocess(crop=(4, 5), std=(1, 1, 2)).shape == (3, 4, 5)
    assert Preprocess(crop=(4, 5), std=(1, 1, 2), layout="HWC").shape == (4, 5, 3)
    assert Preprocess(crop=(4, 5)).shape == (4, 5, 3)
    assert Preprocess(resize=4).shape is None


@pytest.mark.parametrize(
    "preprocess",
    [
        Preprocess(letterbox=(64, 64), anchor="top_left"),
        Preprocess(letterbox=(64, 96)),
        Preprocess(stretch=(32, 80)),
        Preprocess(resize=40, crop=(32, 32)),
        Preprocess(),
    ],
)
@pytest.mark.parametrize("size", [(100, 75), (75, 100), (64, 64), (37, 91)])
def test_where_the_pixels_of_an_image_will_lie_is_known_from_its_size(
    preprocess: Preprocess, size: tuple[int, int]
) -> None:
    width, height = size
    _, placement = preprocess.compile()(np.zeros((height, width, 3), np.uint8))
    assert preprocess.placement_for(width, height) == placement


def test_boxes_go_into_the_prepared_image_and_back() -> None:
    placement = Preprocess(letterbox=(64, 64)).placement_for(128, 64)
    box = np.array([[10, 20, 30, 40]], np.float32)
    assert placement.from_source(box).tolist() == [[5, 26, 15, 36]]
    assert placement.to_source(placement.from_source(box)).tolist() == box.tolist()
    assert placement.behind(0.5, 2).from_source(box).tolist() == [[2.5, 36, 7.5, 56]]
