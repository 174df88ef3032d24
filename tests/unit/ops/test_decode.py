"""Bytes to upright RGB pixels; the reference is Pillow's `convert("RGB")` unless a test says so."""

import io
import re
import resource
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps, features

from sightflow.errors import DecodeError
from sightflow.ops.decode import decode, may_be_picture
from sightflow.records import REASONS
from sightflow.testing import draw_scene, encode_image

SCENE = Image.fromarray(draw_scene(48, 32, boxes=((5, 6, 20, 25),)))
NEEDS_AVIF = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


def encode(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def refused(data, **options):
    with pytest.raises(DecodeError) as caught:
        decode(data, **options)
    assert caught.value.reason in REASONS
    return caught.value


def largest_difference(a, b):
    assert a.shape == b.shape
    return np.abs(a.astype(int) - b).max()


# --- formats -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "format", "options"),
    [
        ("RGB", "JPEG", {}),
        ("RGB", "JPEG", {"subsampling": 0, "quality": 95}),
        ("RGB", "JPEG", {"progressive": True}),
        ("L", "JPEG", {}),
        ("CMYK", "JPEG", {}),
        ("RGB", "PNG", {}),
        ("L", "PNG", {}),
        ("P", "PNG", {}),
        ("1", "PNG", {}),
        ("RGB", "WEBP", {}),
        ("RGB", "WEBP", {"lossless": True}),
        ("P", "GIF", {}),
        ("RGB", "BMP", {}),
        ("L", "BMP", {}),
        ("RGB", "TIFF", {}),
        ("1", "TIFF", {"compression": "group4"}),
        ("CMYK", "TIFF", {"compression": "tiff_lzw"}),
        ("RGB", "PPM", {}),
        pytest.param("RGB", "AVIF", {}, marks=NEEDS_AVIF),
    ],
)
def test_a_picture_of_any_format_has_the_pixels_that_pillow_gives(mode, format, options):
    data = encode(SCENE.convert(mode), format, **options)

    decoded = decode(data)

    pillow = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert largest_difference(decoded.pixels, pillow) == 0
    assert (decoded.width, decoded.height) == (48, 32)
    assert decoded.pixels.dtype == np.uint8


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bits_become_their_upper_eight(format):
    samples = np.array([[0, 255, 256], [0x1234, 0xFF00, 0xFFFF]], np.uint16)

    pixels = decode(encode(Image.fromarray(samples), format)).pixels

    assert pixels.shape == (2, 3, 3)
    assert pixels[:, :, 0].tolist() == [[0, 0, 1], [0x12, 0xFF, 0xFF]]
    assert (pixels == pixels[:, :, :1]).all()


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_transparent_parts_become_white(format):
    rgba = np.zeros((16, 32, 4), np.uint8)
    rgba[:, :16] = (200, 0, 0, 0)
    rgba[:, 16:] = (200, 0, 0, 255)

    pixels = decode(encode_image(rgba, format, lossless=True)).pixels

    assert (pixels[:, :16] == 255).all()
    assert (pixels[:, 16:] == (200, 0, 0)).all()


def test_half_transparent_parts_are_mixed_with_white():
    grey_alpha = np.array([[[100, 51], [100, 255]]], np.uint8)  # 51 / 255 = 0.2

    pixels = decode(encode(Image.fromarray(grey_alpha, "LA"), "PNG")).pixels

    assert pixels[0, :, 0].tolist() == [224, 100]  # 0.2 x 100 + 0.8 x 255 = 224


def test_a_transparent_colour_of_a_palette_becomes_white():
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.putdata([0, 1])

    pixels = decode(encode(picture, "PNG", transparency=0)).pixels

    assert pixels[0].tolist() == [[255, 255, 255], [40, 50, 60]]


@pytest.mark.parametrize("format", ["GIF", "WEBP", "TIFF", "PNG"])
def test_a_moving_picture_gives_its_first_frame(format):
    red, blue = (Image.new("RGB", (16, 16), c) for c in ("red", "blue"))
    options = {"lossless": True} if format == "WEBP" else {}

    pixels = decode(encode(red, format, save_all=True, append_images=[blue], **options)).pixels

    assert (pixels == (255, 0, 0)).all()


def test_a_picture_of_a_single_pixel_is_one():
    assert decode(encode(Image.new("RGB", (1, 1), "red"), "PNG")).pixels.tolist() == [[[255, 0, 0]]]


def test_float_samples_are_unsupported():
    error = refused(encode(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF"))

    assert error.reason == "unsupported"
    assert error.message == "TIFF with 32-bit float samples"


@pytest.mark.parametrize("sample", [65_536, 70_000, -1])
def test_samples_of_more_than_sixteen_bits_are_unsupported(sample):
    error = refused(encode(Image.fromarray(np.full((4, 4), sample, np.int32)), "TIFF"))

    assert error.reason == "unsupported"
    assert error.message == "TIFF with samples of more than 16 bits"


# --- orientation ---------------------------------------------------------------------------------

UPRIGHT = ("ABC", "DEF")
STORED = {  # what lies at row 0 and column 0 of the file, by the EXIF standard
    1: ("ABC", "DEF"),  # top, left
    2: ("CBA", "FED"),  # top, right
    3: ("FED", "CBA"),  # bottom, right
    4: ("DEF", "ABC"),  # bottom, left
    5: ("AD", "BE", "CF"),  # left, top
    6: ("CF", "BE", "AD"),  # right, top
    7: ("FC", "EB", "DA"),  # right, bottom
    8: ("DA", "EB", "FC"),  # left, bottom
}


def letters(rows):
    """Draw each letter as a grey block of 16 x 16 pixels."""
    levels = np.array([[(ord(letter) - ord("A")) * 40 for letter in row] for row in rows])
    grey = levels.astype(np.uint8).repeat(16, 0).repeat(16, 1)
    return np.repeat(grey[:, :, None], 3, 2)


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("JPEG", {"quality": 100}),
        ("PNG", {}),
        ("TIFF", {}),
        ("WEBP", {"lossless": True}),
        pytest.param("AVIF", {"quality": 100}, marks=NEEDS_AVIF),
    ],
)
def test_a_turned_picture_is_upright(format, options, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode_image(letters(STORED[orientation]), format, exif=exif, **options)

    decoded = decode(data)

    assert (decoded.width, decoded.height) == (48, 32)
    assert largest_difference(decoded.pixels, letters(UPRIGHT)) <= 1
    transposed = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    assert largest_difference(decoded.pixels, np.asarray(transposed)) == 0


def with_exif(exif):
    plain = encode(SCENE, "JPEG")
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]


@pytest.mark.filterwarnings(r"ignore::UserWarning:PIL\..*")
@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\xff\xff\xff\xff\x10\0\0\0",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0abc\0\0\0\0\0",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x09\0\0\0\0\0\0\0",
        b"Exif\0\0" + bytes(range(256)),
    ],
    ids=["empty", "cut", "a text elsewhere", "a text", "orientation 9", "rubbish"],
)
def test_broken_exif_does_not_matter(exif):
    assert (decode(with_exif(exif)).pixels == decode(encode(SCENE, "JPEG")).pixels).all()


def test_a_remark_of_pillow_is_no_reason_to_refuse_a_picture(tmp_path):
    """Also where the program around us makes warnings into errors."""
    cut = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"
    (tmp_path / "a.jpg").write_bytes(with_exif(cut))
    program = (
        "import sys; from sightflow.ops import decode; decode.decode(open(sys.argv[1],'rb').read())"
    )
    command = [sys.executable, "-W", "error::UserWarning", "-c", program, tmp_path / "a.jpg"]

    done = subprocess.run(command)

    assert done.returncode == 0


# --- reduced decoding ----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(640, 480), (641, 479), (65, 333)])
@pytest.mark.parametrize("scale", [1.0, 0.51, 0.5, 0.38, 0.26, 0.25, 0.13, 0.125, 0.07])
def test_a_jpeg_is_never_decoded_below_the_asked_scale(size, scale):
    width, height = size

    decoded = decode(encode_image(draw_scene(width, height)), scale_for=lambda w, h: scale)

    assert decoded.pixels.shape[0] >= height * scale
    assert decoded.pixels.shape[1] >= width * scale
    assert (decoded.width, decoded.height) == size


def test_a_jpeg_that_is_wanted_small_is_decoded_small():
    decoded = decode(encode_image(draw_scene(640, 480)), scale_for=lambda w, h: 0.25)

    assert decoded.pixels.shape == (120, 160, 3)


def test_a_picture_with_a_second_one_behind_it_is_decoded_small_too():
    """Phones write MPO: a JPEG followed by a preview or a depth map."""
    big = Image.fromarray(draw_scene(640, 480))
    data = encode(big, "MPO", save_all=True, append_images=[SCENE])

    decoded = decode(data, scale_for=lambda w, h: 0.25)

    assert (decoded.width, decoded.height) == (640, 480)
    assert decoded.pixels.shape == (120, 160, 3)


def test_a_reduced_picture_shows_the_same():
    """Against Pillow's box filter over blocks of 4 x 4."""
    data = encode_image(draw_scene(640, 480), quality=95)

    small = decode(data, scale_for=lambda w, h: 0.25).pixels

    averaged = np.asarray(Image.open(io.BytesIO(data)).convert("RGB").reduce(4))
    assert np.abs(small.astype(int) - averaged).mean() < 1


@pytest.mark.parametrize(
    ("orientation", "size"),
    [(1, (640, 480)), (4, (640, 480)), (5, (480, 640)), (6, (480, 640)), (8, (480, 640))],
)
def test_the_asked_scale_is_told_the_upright_size(orientation, size):
    exif = Image.Exif()
    exif[0x0112] = orientation
    told = []

    def scale_for(width, height):
        told.append((width, height))
        return 0.25

    decoded = decode(encode_image(draw_scene(640, 480), exif=exif), scale_for=scale_for)

    assert told == [size]
    assert decoded.pixels.shape == (size[1] // 4, size[0] // 4, 3)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "BMP"])
def test_other_formats_stay_at_full_scale(format):
    decoded = decode(encode(SCENE, format), scale_for=lambda w, h: 0.1)

    assert decoded.pixels.shape == (32, 48, 3)


# --- too large -----------------------------------------------------------------------------------


def a_png_header(width, height):
    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100)))


def a_jpeg_header(width, height):
    data = bytearray(encode(SCENE, "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def a_bmp_header(width, height):
    data = bytearray(encode(SCENE, "BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def a_gif_header(width, height):
    data = bytearray(encode(SCENE.convert("P"), "GIF"))
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


def a_webp_header(width, height):
    data = bytearray(encode(SCENE, "WEBP"))
    at = data.index(b"\x9d\x01\x2a") + 3
    data[at : at + 4] = struct.pack("<HH", width, height)
    return bytes(data)


def a_ppm_header(width, height):
    return f"P6 {width} {height} 255\n".encode() + bytes(100)


@pytest.mark.parametrize(
    ("header", "side"),
    [
        (a_png_header, 60_000),
        (a_jpeg_header, 60_000),
        (a_bmp_header, 60_000),
        (a_gif_header, 60_000),
        (a_ppm_header, 60_000),
        (a_webp_header, 16_383),
    ],
)
def test_a_small_file_that_claims_to_be_huge_costs_nothing(header, side):
    data = header(side, side)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    start = time.perf_counter()

    error = refused(data)

    seconds = time.perf_counter() - start
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    unit = 1 if sys.platform == "darwin" else 1 << 10
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit
    assert error.reason == "too_large"
    assert seconds < 0.5
    assert peak < 5 << 20
    assert grown < 50 << 20


def test_a_picture_of_more_than_max_pixels_is_refused_with_both_numbers():
    error = refused(encode(SCENE, "PNG"), max_pixels=1535)

    assert error.message == "48 x 32 is 1,536 pixels, more than the limit of 1,535"
    assert decode(encode(SCENE, "PNG"), max_pixels=1536).width == 48


def test_a_jpeg_that_is_too_short_for_its_size_is_refused_from_its_header():
    error = refused(a_jpeg_header(12_000, 12_000))

    assert error.reason == "corrupt"
    assert re.fullmatch(r"\d+ bytes cannot hold a JPEG of 12000 x 12000", error.message)


def test_a_large_blank_jpeg_is_no_bomb():
    data = encode(Image.new("L", (4000, 3000)), "JPEG", progressive=True, optimize=True, quality=5)

    assert decode(data, scale_for=lambda w, h: 0.125).pixels.shape == (375, 500, 3)


# --- damaged and foreign -------------------------------------------------------------------------


def test_no_bytes_are_empty():
    assert refused(b"").reason == "empty"


@pytest.mark.parametrize(
    "data",
    [b"hello, world", b"<svg></svg>", b"\0" * 64, b"\x1a\x45\xdf\xa3 mkv", b"\xff", b"%PDF-1.7"],
)
def test_what_starts_like_no_picture_is_not_an_image(data):
    error = refused(data)

    assert error.reason == "not_an_image"
    assert f"starts with the bytes {data[:8].hex(' ')}" in error.message


def test_a_video_is_told_from_a_picture():
    error = refused(b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(40))

    assert error.reason == "not_an_image"
    assert error.message == "a video or audio file; give it as a path of its own"


def test_a_picture_with_a_damaged_header_is_told_from_what_is_no_picture():
    error = refused(b"\x89PNG, and then rubbish")

    assert error.reason == "corrupt"
    assert error.message == "starts as PNG, and its header cannot be read"


@pytest.mark.parametrize(
    "head",
    [
        b"\xff\xd8\xff\xe0 JFIF, cut short",
        b"\x89PNG\r\n",
        b"RIFF\n\0\0\0WEBPVP8 ",
        b"GIF89a",
        b"BM\n",
        b"II*\0",
        b"MM\0*",
        b"\0\0\0\x20ftypavif",
        b"P6 1 1 255\nabc",
    ],
    ids=lambda head: repr(head[:4]),
)
def test_a_file_that_begins_like_a_picture_may_be_one(head):
    assert may_be_picture(head)


@pytest.mark.parametrize(
    "head", [b"", b"hello", b"RIFF\n\0\0\0AVI ", b"\0\0\0\x20ftypisom", b"x\xff\xd8\xff"]
)
def test_a_file_that_begins_like_no_picture_is_none(head):
    assert not may_be_picture(head)


@pytest.mark.parametrize("kind", [b"AVI ", b"WAVE"])
def test_other_files_in_a_riff_container_are_no_damaged_webp(kind):
    assert refused(b"RIFF\x40\0\0\0" + kind + b"LIST" + bytes(60)).reason == "not_an_image"


def test_a_heic_photo_is_not_called_a_video():
    """Phones take HEIC; its container is that of MP4, its brand says what it is."""
    error = refused(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40))

    assert error.reason == "unsupported"
    assert error.message == "a HEIC photo; save it as JPEG, PNG or AVIF"


@pytest.mark.parametrize("share", [0.9, 0.5, 0.1])
@pytest.mark.parametrize(
    "format",
    ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", pytest.param("AVIF", marks=NEEDS_AVIF)],
)
def test_a_picture_that_was_cut_short_is_corrupt(format, share):
    data = encode_image(draw_scene(200, 150), format)

    assert refused(data[: int(len(data) * share)]).reason == "corrupt"


def test_a_progressive_jpeg_that_was_cut_short_is_corrupt():
    data = encode_image(draw_scene(200, 150), "JPEG", progressive=True)

    assert refused(data[: len(data) * 2 // 3]).reason == "corrupt"


def with_bytes(data, at, more):
    return data[:at] + more + data[at:]


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(lambda data: len(data), id="after the end"),
        pytest.param(lambda data: len(data) - 2, id="before the end marker"),
        pytest.param(lambda data: data.index(b"\xff\xdb"), id="between two segments"),
    ],
)
def test_harmless_rubbish_in_a_jpeg_does_not_matter(place):
    plain = encode(SCENE, "JPEG")

    decoded = decode(with_bytes(plain, place(plain), b"\0\1\2\3\4"))

    assert (decoded.pixels == decode(plain).pixels).all()


def mutated(data, random):
    """Return the data with a few bytes changed, cut out or put in."""
    damaged = bytearray(data)
    for _ in range(random.integers(1, 6)):
        at = int(random.integers(len(damaged)))
        kind = random.integers(4)
        if kind == 0:
            damaged[at] ^= 1 << int(random.integers(8))
        elif kind == 1:
            damaged[at : at + int(random.integers(1, 30))] = b""
        elif kind == 2:
            damaged[at:at] = random.bytes(int(random.integers(1, 30)))
        else:
            damaged[at] = (0, 0xFF)[random.integers(2)]
        if len(damaged) < 2:
            break
    return bytes(damaged)


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("GIF", {}),
        ("WEBP", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("BMP", {}),
    ],
)
def test_damage_raises_nothing_but_a_decode_error(format, options):
    random = np.random.default_rng(20240607)
    picture = SCENE.convert("P") if format == "GIF" else SCENE
    exif = Image.Exif()
    exif[0x0112] = 6
    extra = {"exif": exif} if format in ("JPEG", "PNG", "WEBP") else {}
    data = encode(picture, format, **options, **extra)
    reasons = []

    for _ in range(300):
        try:
            decoded = decode(
                mutated(data, random), max_pixels=4_000_000, scale_for=lambda w, h: 0.5
            )
        except DecodeError as error:
            reasons.append(error.reason)
        else:
            assert decoded.pixels.dtype == np.uint8
            assert decoded.pixels.shape[2:] == (3,)

    assert reasons
    assert set(reasons) <= set(REASONS)
