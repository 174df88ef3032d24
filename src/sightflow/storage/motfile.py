"""MOT Challenge text: boxes over time, one a line; what sources, sinks and metrics share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sightflow.errors import SourceError
from sightflow.records.arrays import check_array

__all__ = ["MotRows", "mot_line", "parse_mot", "read_mot"]

_MIN_COLUMNS, _MAX_COLUMNS = 6, 10
_WITH_CLASSES = 9
"""Only the truth of MOT16 and later has this many columns: the eighth is the class."""


@dataclass(frozen=True, slots=True, eq=False)
class MotRows:
    """N boxes of one sequence; row i of every column describes box i."""

    frames: npt.NDArray[np.int64]
    """int64 [N], number of the frame, from 1."""
    track_ids: npt.NDArray[np.int64]
    """int64 [N], unique in a frame; -1 in detections."""
    boxes_xyxy: npt.NDArray[np.float64]
    """float64 [N, 4] in pixels, as precise as the text; x2, y2 exclusive."""
    scores: npt.NDArray[np.float64]
    """float64 [N] as they are in the file; in a truth 0 says that the box does not count."""
    class_ids: npt.NDArray[np.int32] | None = None
    """int32 [N], from 1; None where the file has no classes."""

    def __post_init__(self) -> None:
        """Check that the columns are parallel."""
        n = len(self.frames)
        check_array("frames", self.frames, (n,), np.int64)
        check_array("track_ids", self.track_ids, (n,), np.int64)
        check_array("boxes_xyxy", self.boxes_xyxy, (n, 4), np.float64)
        check_array("scores", self.scores, (n,), np.float64)
        if self.class_ids is not None:
            check_array("class_ids", self.class_ids, (n,), np.int32)

    def __len__(self) -> int:
        """Return the number of boxes."""
        return len(self.frames)


def read_mot(path: str) -> MotRows:
    """Read a file of this machine.

    Raises:
        SourceError: it cannot be read, or a line is not what it must be.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    return parse_mot(data, path)


def parse_mot(data: bytes, name: str) -> MotRows:
    """Return the rows of a text; empty lines are left out.

    Args:
        data: `frame,id,left,top,width,height[,score[,...]]` a line. The score is 1 where it is not
            there. Of nine columns the eighth is the class; other columns are not read.
        name: of the file, for errors.

    Raises:
        SourceError: a line is not what it must be; the message names it.

    Examples:
        >>> parse_mot(b"1,7,10,20,30,40,0.5,-1,-1,-1", "det.txt").boxes_xyxy
        array([[10., 20., 40., 60.]])
    """
    lines = [(n, line) for n, line in enumerate(data.splitlines(), 1) if line.strip()]
    if not lines:
        return MotRows(*_columns(np.zeros((0, _MIN_COLUMNS))))
    cells = [_cells(line, f"{name}:{number}") for number, line in lines]
    n_columns = len(cells[0])
    for (number, _), row in zip(lines, cells, strict=True):
        if len(row) != n_columns:
            raise SourceError(
                f"{name}:{number}: must have {n_columns} columns, as the first line; got {len(row)}"
            )
    table = np.array(cells)
    for good, rule in _rules(table):
        if not good.all():
            number, line = lines[int(np.argmin(good))]
            raise SourceError(f"{name}:{number}: {rule}; got {_shown(line)}")
    return MotRows(*_columns(table))


def mot_line(frame: int, track_id: int, box_xyxy: Sequence[float], score: float) -> str:
    r"""Return a box as a line of MOT Challenge text with its line end; frames are from 1.

    Examples:
        >>> mot_line(1, 7, (10, 20, 40, 60), 0.5)
        '1,7,10.000,20.000,30.000,40.000,0.500,-1,-1,-1\n'
    """
    x1, y1, x2, y2 = box_xyxy
    numbers = ",".join(f"{number:.3f}" for number in (x1, y1, x2 - x1, y2 - y1, score))
    return f"{frame},{track_id},{numbers},-1,-1,-1\n"


def _cells(line: bytes, place: str) -> list[float]:
    """Return the numbers of a line."""
    try:
        cells = [float(cell) for cell in line.split(b",")]
    except ValueError:
        cells = []
    if not _MIN_COLUMNS <= len(cells) <= _MAX_COLUMNS:
        raise SourceError(
            f"{place}: must be {_MIN_COLUMNS} to {_MAX_COLUMNS} numbers with commas between them, "
            f"`frame,id,left,top,width,height,score,...`; got {_shown(line)}"
        )
    return cells


def _rules(table: npt.NDArray[np.float64]) -> list[tuple[npt.NDArray[np.bool_], str]]:
    """Return what must hold for each row, and the words for it."""
    used = table[:, : 8 if table.shape[1] == _WITH_CLASSES else 7]
    whole = used == np.floor(used)
    rules = [
        (np.isfinite(used).all(axis=1), "numbers must be finite"),
        (whole[:, 0] & (table[:, 0] >= 1), "the frame must be a whole number from 1"),
        (whole[:, 1], "the id must be a whole number"),
        ((table[:, 4:6] >= 0).all(axis=1), "width and height must not be negative"),
    ]
    if table.shape[1] == _WITH_CLASSES:
        rules.append((whole[:, 7], "the class must be a whole number"))
    return rules


def _columns(
    table: npt.NDArray[np.float64],
) -> tuple[
    npt.NDArray[np.int64],
    npt.NDArray[np.int64],
    npt.NDArray[np.float64],
    npt.NDArray[np.float64],
    npt.NDArray[np.int32] | None,
]:
    """Return the columns of `MotRows`."""
    n, n_columns = table.shape
    boxes = table[:, 2:6].copy()
    boxes[:, 2:] += boxes[:, :2]
    scores = table[:, 6].copy() if n_columns > _MIN_COLUMNS else np.ones(n)
    class_ids = table[:, 7].astype(np.int32) if n_columns == _WITH_CLASSES else None
    return table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), boxes, scores, class_ids


def _shown(line: bytes) -> str:
    return repr(line[:80].decode("utf-8", "replace").strip())
