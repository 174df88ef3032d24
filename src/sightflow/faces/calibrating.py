"""Measure how well faces are told apart on somebody's own pictures, and choose a threshold."""

import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sightflow.dashboard.verification import CalibrationReport, write_verification_report
from sightflow.errors import SourceError
from sightflow.faces.describing import (
    FaceModels,
    OnProgress,
    by_reason,
    describe,
)
from sightflow.faces.enrolling import by_person
from sightflow.metrics.verification import Verification, VerificationFigures
from sightflow.models import ModelFile, Threshold, write_card
from sightflow.settings import RunSettings
from sightflow.sources.directory import Directory
from sightflow.storage.drafts import replacing

__all__ = ["FARS", "Calibration", "calibrate", "write_calibration"]

FARS = (1e-1, 1e-2, 1e-3, 1e-4)
"""False accept rates for which a threshold is chosen, where the pictures can tell."""

_MAX_PAIRS = 50_000_000
_ROWS_AT_ONCE = 1_024
_SEED = 0
_BROKEN = 3
"""So many times the false accept rate that was asked for is worth a warning."""


@dataclass(frozen=True)
class HeldOut:
    """What a threshold that was chosen on one half of the people does on the other half."""

    asked_far: float
    threshold: float
    far: float
    tar: float


@dataclass(frozen=True, eq=False)
class Calibration:
    """How well faces of a folder are told apart."""

    directory: str
    model: ModelFile
    figures: VerificationFigures
    """Of all pairs of pictures."""
    held_out: tuple[HeldOut, ...]
    """Means of both ways of choosing on one half and measuring on the other."""
    n_people: int
    n_pictures: int
    rejected: Mapping[str, int]
    """By reason."""

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        """The thresholds for `FARS` that so many pairs can tell."""
        points = ((far, self.figures.at(far)) for far in FARS)
        return tuple(
            self._rounded_up(far, point.threshold) for far, point in points if point is not None
        )

    def _rounded_up(self, far: float, threshold: float) -> Threshold:
        """Return a threshold of few digits that still keeps its promise."""
        similarity = math.ceil(threshold * 1e4) / 1e4
        tar = self.figures.at_threshold(similarity).tar
        return Threshold(similarity, far, round(tar, 4), self.data)

    @property
    def broken_promises(self) -> tuple[HeldOut, ...]:
        """Thresholds that accept far more of other people than of those they were chosen on."""
        return tuple(one for one in self.held_out if one.far > _BROKEN * one.asked_far)

    @property
    def data(self) -> str:
        """What was measured, in a few words."""
        name = os.path.basename(os.path.normpath(self.directory))
        return f"{name}: {self.n_people} people, {self.n_pictures} pictures"

    def table(self) -> tuple[Sequence[str], list[Sequence[str]]]:
        """Return columns and rows for people."""
        figures, held_out = self.figures, {one.asked_far: one for one in self.held_out}
        rows: list[Sequence[str]] = [
            ("equal error", f"{figures.eer_threshold:.3f}", _percent(1 - figures.eer), "", "")
        ]
        for far in FARS:
            point, tested = figures.at(far), held_out.get(far)
            if point is None:
                rows.append((f"FAR {far:g}", "too few pairs", "", "", ""))
                continue
            others = ("", "") if tested is None else (_percent(tested.tar), f"{tested.far:.2g}")
            rows.append((f"FAR {far:g}", f"{point.threshold:.3f}", _percent(point.tar), *others))
        columns = ("for", "threshold", "accepted %", "held out: accepted %", "held out: FAR")
        return columns, rows

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        figures = self.figures
        return {
            "directory": self.directory,
            "model": self.model.card.name,
            "model_version": self.model.version,
            "n_people": self.n_people,
            "n_pictures": self.n_pictures,
            "n_same": figures.n_same,
            "n_different": figures.n_different,
            "rejected": dict(self.rejected),
            "eer": figures.eer,
            "eer_threshold": figures.eer_threshold,
            "auc": figures.auc,
            "thresholds": [msgspec.to_builtins(one) for one in self.thresholds],
            "held_out": [msgspec.to_builtins(one) for one in self.held_out],
        }


def calibrate(
    directory: str,
    models: FaceModels,
    settings: RunSettings,
    *,
    on_progress: OnProgress = lambda ledger, n_images: None,
) -> Calibration:
    """Compare all pictures of a folder, which has a folder for each person.

    Of more than 50 million pairs of different people so many are drawn.

    Raises:
        SourceError: there are not two people, or nobody has two pictures.
    """
    faces, rejected = describe(Directory(directory), models, settings, on_progress=on_progress)
    named, nobody = by_person(faces, directory)
    faces, people = [face for face, _ in named], [person for _, person in named]
    n_people = len(set(people))
    if n_people < 2 or n_people == len(people):
        raise SourceError(
            f"{directory}: needs two people or more, a folder for each, of whom one has two "
            f"pictures; got {len(people)} pictures of {n_people} people"
        )
    embeddings = np.stack([face.embedding for face in faces])
    figures = _pairs(embeddings, people).compute()
    return Calibration(
        directory,
        models.embedder,
        figures,
        _held_out(embeddings, people),
        n_people,
        len(faces),
        by_reason(rejected) | ({"no_person": len(nobody)} if nobody else {}),
    )


def write_calibration(
    found: Calibration, folder: Path, threshold: Threshold | None = None
) -> dict[str, Path]:
    """Write a page, the figures as JSON, and the model with its thresholds on its card.

    Args:
        found: what was measured.
        folder: is made if there is none.
        threshold: the one that is marked on the page; without it that of the equal error rate.

    Returns:
        The files, by what they are: `page`, `figures`, `model`, `card`.
    """
    files = {
        "page": folder / "calibration.html",
        "figures": folder / "calibration.json",
        "model": folder / f"{found.model.card.name}.onnx",
        "card": folder / f"{found.model.card.name}.yaml",
    }
    folder.mkdir(parents=True, exist_ok=True)
    marked = found.figures.eer_threshold if threshold is None else threshold.similarity
    facts = {"pictures": found.directory, "model": f"{found.model.card.name} {found.model.version}"}
    for one in found.held_out:
        facts[f"chosen for {one.asked_far:g} on half of the people"] = (
            f"on the others {one.far:.2g} falsely accepted, {100 * one.tar:.1f} % accepted"
        )
    report = CalibrationReport(
        "Faces: how well they are told apart",
        found.figures,
        marked,
        found.n_people,
        found.n_pictures,
        found.rejected,
        facts=facts,
    )
    write_verification_report(files["page"], report)
    with replacing(files["figures"]) as draft:
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(found.as_dict()), indent=2))
    if os.path.abspath(found.model.path) != os.path.abspath(files["model"]):
        with replacing(files["model"]) as draft:
            shutil.copyfile(found.model.path, draft)
    write_card(replace(found.model.card, thresholds=found.thresholds), files["card"])
    return files


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _pairs(embeddings: npt.NDArray[np.float32], people: Sequence[str]) -> Verification:
    """Return the similarities of all pairs of pictures; of very many different ones some."""
    _, owners = np.unique(people, return_inverse=True)
    n = len(owners)
    share = min(1.0, _MAX_PAIRS / max(1, n * (n - 1) // 2))
    draw = np.random.default_rng(_SEED)
    pairs = Verification()
    for start in range(0, n, _ROWS_AT_ONCE):
        rows = np.arange(start, min(n, start + _ROWS_AT_ONCE))
        scores = np.clip(embeddings[rows] @ embeddings[start:].T, -1, 1)
        same = owners[rows][:, None] == owners[None, start:]
        counts = np.arange(start, n)[None] > rows[:, None]  # each pair once, none with itself
        if share < 1:
            counts &= same | (draw.random(scores.shape, np.float32) < share)
        pairs.update(scores[counts], same[counts])
    return pairs


def _held_out(embeddings: npt.NDArray[np.float32], people: Sequence[str]) -> tuple[HeldOut, ...]:
    """Choose thresholds on one half of the people and measure them on the other, both ways."""
    names = sorted(set(people))
    first = set(np.random.default_rng(_SEED).permutation(names)[: len(names) // 2].tolist())
    is_first = np.array([person in first for person in people])
    halves = []
    for half in (is_first, ~is_first):
        inside = [person for person, is_in in zip(people, half, strict=True) if is_in]
        if len(set(inside)) < 2 or len(set(inside)) == len(inside):
            return ()
        halves.append(_pairs(embeddings[half], inside).compute())
    found = []
    for far in FARS:
        chosen = [half.at(far) for half in halves]
        points = [
            other.at_threshold(point.threshold)
            for point, other in zip(chosen, halves[::-1], strict=True)
            if point is not None
        ]
        if len(points) == len(halves):
            mean = np.mean([[p.threshold, p.far, p.tar] for p in points], axis=0).tolist()
            found.append(HeldOut(far, *mean))
    return tuple(found)
