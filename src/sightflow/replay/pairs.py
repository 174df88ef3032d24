"""Two results of the same images, laid beside each other: row by row, in bounded memory."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sightflow.records import Row
from sightflow.storage.resultfiles import read_rejected

__all__ = ["Reasons", "pairs"]

_Key: TypeAlias = tuple[str, int]

_MAX_WAITING = 10_000


def pairs(
    first: Callable[[], Iterator[Row]], second: Callable[[], Iterator[Row]]
) -> Iterator[tuple[Row | None, Row | None]]:
    """Yield the two rows of each image, in the order of the first results; None where one lacks it.

    Images are the same where `source_id` and `sequence` are. Both results are read twice: at first
    8 bytes of each row are kept, to know which images are in one of them only. Rows are kept only
    where the orders differ.

    Args:
        first: returns the rows from their start, each image once.
        second: the same.
    """
    keys_a, keys_b = _Keys(first()), _Keys(second())
    others, waiting = second(), dict[_Key, Row]()
    for row in first():
        key = _key(row)
        if key not in keys_b:
            yield row, None
            continue
        while key not in waiting and (other := next(others, None)) is not None:
            if (of_other := _key(other)) in keys_a:
                waiting[of_other] = other
            else:
                yield None, other
        yield row, waiting.pop(key, None)
    for other in (*waiting.values(), *others):
        yield None, other


class _Keys:
    """Which images are in results: 8 bytes for each."""

    def __init__(self, rows: Iterator[Row]) -> None:
        hashes = np.fromiter((hash(_key(row)) for row in rows), np.int64)
        self._hashes: npt.NDArray[np.int64] = np.sort(hashes)

    def __contains__(self, key: _Key) -> bool:
        wanted = hash(key)
        place = int(np.searchsorted(self._hashes, wanted))
        return place < len(self._hashes) and int(self._hashes[place]) == wanted


def _key(row: Row) -> _Key:
    return row["source_id"], row["sequence"]


class Reasons:
    """Why images were rejected; they are asked for roughly in the order of the file."""

    def __init__(self, results: str) -> None:
        """Begin with the first rejected image of these results."""
        self._rows = read_rejected(results)
        self._ahead: defaultdict[str, deque[Row]] = defaultdict(deque)
        self._n_ahead = 0

    def of(self, uri: str) -> dict[str, Any] | None:
        """Return step, reason and message of the next rejected image of a file, each once."""
        while uri not in self._ahead and self._n_ahead < _MAX_WAITING:
            row = next(self._rows, None)
            if row is None:
                break
            self._ahead[row["uri"]].append(row)
            self._n_ahead += 1
        if uri not in self._ahead:
            return None
        rows = self._ahead[uri]
        row = rows.popleft()
        self._n_ahead -= 1
        if not rows:
            del self._ahead[uri]
        return {name: row[name] for name in ("step", "reason", "message")}
