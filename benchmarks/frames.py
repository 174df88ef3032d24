"""Frames of a video as a bare loop reads them: in this process, one after the other."""

from collections.abc import Iterator
from pathlib import Path

import av

from sightflow.records import ImageRecord, Origin

__all__ = ["batches_of"]


def batches_of(video: Path, size: int) -> Iterator[list[ImageRecord]]:
    """Yield all frames of a video, so many at a time; the last ones may be fewer."""
    batch = list[ImageRecord]()
    with av.open(str(video)) as container:
        for number, frame in enumerate(container.decode(container.streams.video[0])):
            pixels = frame.to_ndarray(format="rgb24")
            origin = Origin(str(video), str(video), number, round(frame.time * 1000), str(number))
            batch.append(ImageRecord(origin, frame.width, frame.height, pixels))
            if len(batch) == size:
                yield batch
                batch = []
    if batch:
        yield batch
