"""What `sightflow models quantize` does: calibrate, write, and measure what it cost and gained."""

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sightflow.errors import DecodeError, ModelError, OutputError, SourceError
from sightflow.models import Card, ModelFile, write_card
from sightflow.models.quantization import write_int8
from sightflow.ops.decode import decode
from sightflow.protocols import Context, Inference, Model
from sightflow.records import Claim, EncodedImage
from sightflow.sources.directory import Directory
from sightflow.storage.drafts import check_files, replacing
from sightflow.tasks.classify import Classify
from sightflow.tasks.model_step import make_head

__all__ = ["COLUMNS", "Comparison", "Report", "quantize"]

COLUMNS = ("model", "MiB", "ms per image", "top-1 agreement %")

OnProgress = Callable[[str, int, int], None]
"""Told what is being done, how many pictures are done, and how many there are."""

Batches = Iterator[npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Comparison:
    """A float model and its int8 form on the same pictures."""

    n_images: int
    agreement_percent: float
    """Of how many pictures both name the same class first, 0 to 100."""
    float_ms: float
    """Median time of the model alone for one image, with one thread."""
    int8_ms: float
    """The same for the int8 form; calls of both alternate."""

    @property
    def speedup(self) -> float:
        """How many times as fast int8 is; below 1 it is slower."""
        return self.float_ms / self.int8_ms


@dataclass(frozen=True)
class Report:
    """What a quantisation gave."""

    model: ModelFile
    """The int8 model, with its new card."""
    float_model: ModelFile
    n_calibration: int
    """Pictures that the ranges of the activations come from."""
    n_rejected: int
    """Files that are no readable picture."""
    comparison: Comparison
    """On other pictures than those of the calibration."""

    def rows(self) -> list[tuple[str, ...]]:
        """Return a row for each of the two models, with `COLUMNS`."""
        found, agreement = self.comparison, f"{self.comparison.agreement_percent:.1f}"
        models = (self.float_model, found.float_ms, ""), (self.model, found.int8_ms, agreement)
        return [
            (model.card.name, f"{os.path.getsize(model.path) / 2**20:.1f}", f"{ms:.2f}", agreement)
            for model, ms, agreement in models
        ]

    def summary(self) -> str:
        """Return what was done, for people."""
        found = self.comparison
        slower = "" if found.speedup > 1 else ": int8 does not pay on this machine"
        return (
            f"calibrated on {self.n_calibration} pictures, compared on {found.n_images} others, "
            f"{self.n_rejected} files rejected\n"
            f"int8 is {found.speedup:.2f} times as fast here{slower}\n"
            f"wrote {self.model.path}\nwrote {Path(self.model.path).with_suffix('.yaml')}"
        )


def quantize(
    model: ModelFile,
    data: str,
    out: Path,
    *,
    n_images: int = 200,
    per_channel: bool = True,
    overwrite: bool = False,
    on_progress: OnProgress = lambda what, done, total: None,
) -> Report:
    """Write an int8 form of a classifier, and its card with what was measured.

    Args:
        model: a classifier that ONNX Runtime runs.
        data: a folder, archive, glob or URL with pictures like those that the model will see.
        out: the file to write, `NAME.onnx`; the card is `NAME.yaml` beside it.
        n_images: how many pictures to calibrate on, from 1; as many others are compared on. Of
            fewer pictures each part gets half. They are taken evenly from the sorted list.
        per_channel: give each output channel of a layer its own scale.
        overwrite: replace files of an earlier call.
        on_progress: told now and then how far it is.

    Raises:
        ModelError: the model is no classifier, or cannot be quantised.
        SourceError: `data` has too few pictures.
        OutputError: `out` cannot be written, or is no `.onnx` or the model itself.
        OutputExistsError: `out` or its card exists.
    """
    _check(model, out, overwrite=overwrite)
    calibration, kept = _split(tuple(Directory(data).claims()), n_images, data)
    pictures = _Pictures(model, data, on_progress)
    with tempfile.TemporaryDirectory(prefix="sightflow-") as folder:
        path = Path(folder, "int8.onnx")
        batches = pictures.batches("calibrating", calibration)
        write_int8(model, path, _some(batches, data), per_channel=per_channel)
        n_calibration = pictures.n_read
        int8 = ModelFile(str(path), replace(model.card, version=None, sha256=None))
        comparison = _compare(model, int8, _some(pictures.batches("comparing", kept), data))
        card = _card(model, int8, n_calibration, comparison, per_channel=per_channel)
        ModelFile(str(path), card).check()
        with replacing(out) as draft:
            shutil.copyfile(path, draft)
        with replacing(out.with_suffix(".yaml")) as draft:
            write_card(card, draft)
    written = ModelFile(str(out), card)
    return Report(written, model, n_calibration, pictures.n_rejected, comparison)


def _check(model: ModelFile, out: Path, *, overwrite: bool) -> None:
    """Refuse what cannot be done, before anything is read."""
    card = model.card
    if card.task != "classify" or card.backend != "onnx":
        raise ModelError(
            f"model {card.name!r}: quantisation takes a model with `task: classify` and `backend: "
            f"onnx`; its card has {card.task!r} and {card.backend!r}; choose another model"
        )
    if out.suffix != ".onnx":
        raise OutputError(f"{out}: the ending must be .onnx; got {out.suffix!r}; rename it")
    if out.exists() and out.samefile(model.path):
        raise OutputError(f"{out}: must not be the float model itself; choose another path")
    check_files([str(out), str(out.with_suffix(".yaml"))], overwrite=overwrite)
    Classify(model=model).check()


def _split(
    claims: Sequence[Claim], n_images: int, data: str
) -> tuple[Sequence[Claim], Sequence[Claim]]:
    """Return the claims to calibrate on and those to compare on, of each at most `n_images`."""
    if len(claims) < 2:
        raise SourceError(
            f"{data}: must have two pictures or more, to calibrate on and to compare on; has "
            f"{len(claims)}; name a folder with some hundred"
        )
    n_taken = min(2 * n_images, len(claims))
    taken = [claims[i * len(claims) // n_taken] for i in range(n_taken)]
    return taken[::2], taken[1::2]


def _some(batches: Batches, data: str) -> Batches:
    """Yield the batches; raise an error if there are none."""
    n_batches = 0
    for batch in batches:
        n_batches += 1
        yield batch
    if not n_batches:
        raise SourceError(
            f"{data}: must have pictures to calibrate on and others to compare on; too few of its "
            "files are pictures; name a folder with some hundred"
        )


class _Pictures:
    """Reads pictures and makes each into what the model takes, as recognition does."""

    def __init__(self, model: ModelFile, data: str, on_progress: OnProgress) -> None:
        """Start with none read."""
        self._prepare = model.card.input.preprocess.compile()
        self._read = Directory(data).open(Context("quantize"))
        self._on_progress = on_progress
        self.n_read = self.n_rejected = 0

    def batches(self, what: str, claims: Sequence[Claim]) -> Batches:
        """Yield each readable picture as a batch of one: float32 [1, ...]."""
        for done, claim in enumerate(claims):
            self._on_progress(what, done, len(claims))
            for image in self._read(claim):
                try:
                    if not isinstance(image, EncodedImage):
                        raise DecodeError("unreadable", claim.origin.uri)
                    pixels = decode(image.data).pixels
                except DecodeError:
                    self.n_rejected += 1
                    continue
                self.n_read += 1
                yield self._prepare(pixels)[0][None]
        self._on_progress(what, len(claims), len(claims))


def _compare(model: ModelFile, int8: ModelFile, batches: Batches) -> Comparison:
    """Call both models on each picture, in turn first: the machine's mood hits both alike."""
    runs = [each.load(Inference(device="cpu", n_threads=1)) for each in (model, int8)]
    head = make_head(model.card)
    times: tuple[list[float], list[float]] = ([], [])
    n_images = n_equal = 0
    for batch in batches:
        answers = [0, 0]
        for which in (0, 1) if n_images % 2 else (1, 0):
            outputs, ms = _timed(runs[which], batch)
            times[which].append(ms)
            answers[which] = int(head(outputs)[0].argmax())
        n_images += 1
        n_equal += answers[0] == answers[1]
    float_ms, int8_ms = map(statistics.median, times)
    return Comparison(n_images, 100 * n_equal / n_images, float_ms, int8_ms)


def _timed(run: Model, batch: npt.NDArray[np.float32]) -> tuple[Any, float]:
    """Return the outputs and the milliseconds of a call."""
    started = time.perf_counter()
    outputs = run(batch)
    return outputs, (time.perf_counter() - started) * 1000


def _card(
    model: ModelFile, int8: ModelFile, n_calibration: int, found: Comparison, *, per_channel: bool
) -> Card:
    """Return the card of the int8 form; what was measured of the float model does not hold for it.

    Accuracy against true labels is unknown here: it has only the agreement with the float model.
    """
    card = model.card
    scales = "a scale a channel, 7-bit weights" if per_channel else "a scale a layer"
    how = (
        f"Made from {card.name} {model.version} (sha256 {model.sha256()}) by static quantisation "
        f"with ONNX Runtime: uint8 activations, int8 weights, {scales}; calibrated on "
        f"{n_calibration} pictures. Its accuracy against true labels was not measured."
    )
    data = f"{found.n_images} pictures not used for calibration"
    return replace(
        card,
        name=f"{card.name}-int8",
        version=None,
        fp16=False,
        sha256=int8.sha256(),
        notes=f"{card.notes.strip()} {how}".strip(),
        measured=(
            {
                "data": data,
                "metric": f"top-1 agreement with {card.name} %",
                "value": round(found.agreement_percent, 1),
            },
            {
                "data": f"{data}; one at a time, one thread, the model alone",
                "metric": f"times as fast as {card.name}",
                "value": round(found.speedup, 2),
            },
        ),
    )
