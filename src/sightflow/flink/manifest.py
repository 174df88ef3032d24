"""The claims of a run in a file, so that workers find them by the number of a chunk."""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sightflow.engine.chunks import Chunk
from sightflow.engine.plan import Work

__all__ = ["Manifest"]


@dataclass(frozen=True)
class Manifest:
    """The claims of a run in a file, one chunk after the other, and beside it where each ends."""

    path: Path

    def write(self, chunks: Iterable[Chunk]) -> Work:
        """Write all chunks; return how much work they are."""
        n_images = 0
        ends = [0]
        last: dict[str, int] = {}
        with open(self.path, "wb") as file:
            for number, chunk in enumerate(chunks):
                n_images += chunk.n_images
                ends.append(ends[-1] + file.write(chunk.encode()))
                last[chunk.source_id] = number
        np.save(self._beside("ends"), np.array(ends, np.int64))
        np.save(self._beside("last"), np.array(sorted(last.values()), np.int64))
        return Work(len(ends) - 1, n_images)

    def open(self, resources: ExitStack) -> Any:
        """Return a function that gives a chunk by its number."""
        file = resources.enter_context(self.path.open("rb"))
        ends = np.load(self._beside("ends"), mmap_mode="r")
        last = set(np.load(self._beside("last")).tolist())

        def chunk_of(number: int) -> Chunk:
            start, end = int(ends[number]), int(ends[number + 1])
            file.seek(start)
            return replace(Chunk.decode(file.read(end - start)), is_last=number in last)

        return chunk_of

    def _beside(self, name: str) -> Path:
        return self.path.with_suffix(f".{name}.npy")
