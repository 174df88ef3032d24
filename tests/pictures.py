"""Pictures and videos that tests draw: small, different from each other, made anew each time."""

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from sightflow.testing import draw_scene, encode_image

__all__ = ["draw_number", "draw_video", "fill_folder", "read_number"]

_N_BITS = 8


def fill_folder(folder: Path, n_images: int) -> Path:
    """Write drawn JPEGs of different sizes, an upper-case PNG, a text file and a cut JPEG."""
    folder.mkdir(parents=True)
    for i in range(n_images):
        scene = draw_scene(300 + 7 * i % 90, 240, boxes=[(20 + i % 50, 30, 150, 200)])
        (folder / f"{i:04d}.jpg").write_bytes(encode_image(scene))
    (folder / "odd name, ä.PNG").write_bytes(encode_image(draw_scene(64, 64), "PNG"))
    (folder / "notes.txt").write_text("no picture")
    (folder / "cut.jpg").write_bytes(encode_image(draw_scene())[:2000])
    return folder


def draw_video(
    path: Path, n_frames: int, *, rate: int = 25, gop: int = 12, title: str = ""
) -> Path:
    """Write an H.264 video in which a block moves from left to right, with B-frames."""
    with av.open(str(path), "w") as container:
        if title:
            container.metadata["title"] = title
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.codec_context.gop_size = gop
        for i in range(n_frames):
            scene = draw_scene(boxes=[(2 * i, 60, 2 * i + 80, 180)])
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(scene), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def draw_number(number: int, width: int = 96, height: int = 64) -> npt.NDArray[np.uint8]:
    """Return a picture that shows a number modulo 256: eight blocks, black for 0, white for 1."""
    pixels = np.full((height, width, 3), 16, np.uint8)
    block = width // _N_BITS
    for bit in range(_N_BITS):
        if number >> bit & 1:
            pixels[:, bit * block : (bit + 1) * block] = 235
    return pixels


def read_number(pixels: npt.NDArray[np.uint8]) -> int:
    """Return the number that a picture shows."""
    block = pixels.shape[1] // _N_BITS
    middle = pixels[pixels.shape[0] // 2, block // 2 :: block].mean(axis=1)
    return sum(1 << bit for bit in range(_N_BITS) if middle[bit] > 128)
