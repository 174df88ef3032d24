"""What every peer does with pictures: read, decode, prepare, run the model, take the best five.

The peers differ only in how they bring pictures here and results into files. This file knows none
of them, and not Sightflow. Each row carries `at`, the time when its model call ended.
"""

import argparse
import functools
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime
import simplejpeg

SHORT_SIDE, CROP, TOP_K = 256, 224, 5
FACTOR, OFFSET = np.float32(1 / 128), np.float32(-127 / 128)

Pixels = npt.NDArray[np.uint8]
Batch = npt.NDArray[np.float32]
Row = dict[str, Any]

cv2.setNumThreads(1)


def decode_simplejpeg(data: bytes) -> Pixels:
    """Decode a JPEG in full to uint8 [H, W, 3] RGB."""
    return simplejpeg.decode_jpeg(data, "RGB")


def decode_reduced(data: bytes) -> Pixels:
    """Decode at 1/2, 1/4 or 1/8 of the size, where that leaves enough for the model."""
    return simplejpeg.decode_jpeg(data, "RGB", min_height=SHORT_SIDE, min_width=SHORT_SIDE)


def decode_opencv(data: bytes) -> Pixels:
    """Decode in full with OpenCV."""
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


DECODERS: dict[str, Callable[[bytes], Pixels]] = {
    "simplejpeg": decode_simplejpeg,
    "reduced": decode_reduced,
    "opencv": decode_opencv,
}


def crop(pixels: Pixels) -> Pixels:
    """Scale the short side to 256 and cut uint8 [224, 224, 3] from the middle."""
    height, width = pixels.shape[:2]
    scale = SHORT_SIDE / min(height, width)
    size = (round(width * scale), round(height * scale))
    if size != (width, height):
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)
    y, x = round((size[1] - CROP) / 2), round((size[0] - CROP) / 2)
    return pixels[y : y + CROP, x : x + CROP]


def fill(image: Batch, cropped: Pixels) -> None:
    """Write uint8 [224, 224, 3] into float32 [3, 224, 224]; samples stay 0 to 255."""
    for plane, samples in zip(image, cv2.split(cropped), strict=True):
        plane[:] = samples


def normalise(batch: Batch) -> None:
    """Make (x - 127) / 128 of samples of 0 to 255, in place."""
    np.multiply(batch, FACTOR, out=batch)
    np.add(batch, OFFSET, out=batch)


def best(probabilities: Batch) -> npt.NDArray[np.int64]:
    """Return the ids of the five best classes, int64 [B, 5], best first."""
    some = np.argpartition(probabilities, -TOP_K, axis=1)[:, -TOP_K:]
    order = np.argsort(-np.take_along_axis(probabilities, some, 1), axis=1, kind="stable")
    return np.take_along_axis(some, order, 1)


def open_session(model: str) -> onnxruntime.InferenceSession:
    """Load the model for one core: as many of them run as there are cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def make_row(
    path: str, labels: Sequence[str], ids: npt.NDArray[np.int64], scores: Batch, at: float
) -> Row:
    """Return one line of the results."""
    return {
        "uri": path,
        "class_ids": ids.tolist(),
        "labels": [labels[i] for i in ids],
        "scores": scores.tolist(),
        "at": at,
    }


class Recogniser:
    """Recognises the pictures at some paths, one model call for each `batch_size` of them."""

    def __init__(
        self, model: str, labels: str, batch_size: int, decoder: str = "simplejpeg"
    ) -> None:
        """Load the model; threads may share it."""
        self._session = open_session(model)
        self._labels = read_labels(labels)
        self._decode = DECODERS[decoder]
        self._size = batch_size
        self._buffers = threading.local()

    def __call__(self, paths: Sequence[str]) -> list[Row]:
        """Return a row for each path, in their order."""
        starts = range(0, len(paths), self._size)
        parts = (paths[start : start + self._size] for start in starts)
        return [row for part in parts for row in self._recognise(part, map(read, part))]

    def of_bytes(self, pictures: Sequence[bytes]) -> list[Row]:
        """Return a row for each of at most `batch_size` JPEGs, without names."""
        return self._recognise([""] * len(pictures), pictures)

    def _recognise(self, paths: Sequence[str], pictures: Iterable[bytes]) -> list[Row]:
        if not hasattr(self._buffers, "batch"):  # each thread uses its own again and again
            self._buffers.batch = np.empty((self._size, 3, CROP, CROP), np.float32)
        batch = self._buffers.batch[: len(paths)]
        for image, picture in zip(batch, pictures, strict=True):
            fill(image, crop(self._decode(picture)))
        normalise(batch)
        (probabilities,) = self._session.run(["prob"], {"input": batch})
        ids = best(probabilities)
        scores = np.take_along_axis(probabilities, ids, 1)
        at = time.time()
        rows = zip(paths, ids, scores, strict=True)
        return [make_row(path, self._labels, i, s, at) for path, i, s in rows]


@functools.cache
def load_once(model: str, labels: str, batch_size: int) -> Recogniser:
    """Load the model at the first call in a process."""
    return Recogniser(model, labels, batch_size)


def read(path: str) -> bytes:
    """Return the bytes of a file."""
    with open(path, "rb") as file:
        return file.read()


def read_labels(path: str) -> list[str]:
    """Return the names of the classes."""
    return Path(path).read_text("utf-8").splitlines()


def list_pictures(folder: str) -> list[str]:
    """Return the sorted paths of the pictures in a folder."""
    return sorted(entry.path for entry in os.scandir(folder) if entry.name.endswith(".jpg"))


def parse_arguments(description: str | None, *flags: str) -> argparse.Namespace:
    """Read the arguments that every peer takes, and flags of one of them."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--pictures", required=True, help="folder")
    parser.add_argument("--out", required=True, help="file or folder for lines of JSON")
    parser.add_argument("--model", required=True, help=".onnx file")
    parser.add_argument("--labels", required=True, help="file with a name for each class")
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--batch-size", type=int, required=True, help="images in one model call")
    parser.add_argument("--decoder", choices=DECODERS, default="simplejpeg")
    for flag in flags:
        parser.add_argument(flag, action="store_true")
    return parser.parse_args()
