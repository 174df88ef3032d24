"""Recognition: claims in, outcomes out. Both runners call it and nothing else recognises.

Reading, decoding, every step and the sinks that need pixels run in one place, on small batches, so
that decoded pixels never leave the worker.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from sightflow.engine.adjusting import open_process, settings_of
from sightflow.engine.allocator import keep_freed_memory
from sightflow.engine.blame import blaming
from sightflow.engine.chunks import Chunk, Frame, Recognised, StreamEnd
from sightflow.engine.showing import shown_pictures
from sightflow.errors import DecodeError, PipelineError
from sightflow.ops.decode import decode
from sightflow.pipeline import Pipeline
from sightflow.protocols import Context, Metrics, Process, Read, reader_of
from sightflow.records import (
    Claim,
    EncodedImage,
    ImageRecord,
    Label,
    Outcome,
    Rejected,
    Skipped,
    SourceEnd,
)
from sightflow.settings import RunSettings

__all__ = [
    "Image",
    "Recognise",
    "open_reader",
    "open_recogniser",
    "recognise_chunk",
    "recognise_frame",
]

Image: TypeAlias = EncodedImage | ImageRecord | Rejected
"""An image as a source gives it: bytes, pixels, or why there is none."""

Redeem: TypeAlias = Callable[[Sequence[Claim]], Iterator[Image]]
Recognise: TypeAlias = Callable[[Iterable[Image]], Iterator[Outcome]]

_MAX_BATCH_BYTES = 256 << 20


def open_reader(pipeline: Pipeline, context: Context) -> Redeem:
    """Open the source, which gives claims; return a function that redeems them, in order."""
    read = reader_of(pipeline.source, context.at("read"))
    return lambda claims: (image for claim in claims for image in _redeem(read, claim))


def open_recogniser(pipeline: Pipeline, settings: RunSettings, context: Context) -> Recognise:
    """Open the steps and the sinks beside them; return a function from images to outcomes."""
    keep_freed_memory()
    metrics = context.metrics
    to_record = _decoder(pipeline, settings, metrics)
    set_now = settings_of(pipeline, context)
    steps = [
        (step.name, open_process(step, context.at(step.name), set_now))
        for step in pipeline.pixel_steps
    ]
    writers = [sink.open_images(context.at(name)) for name, sink in pipeline.image_sinks]
    writers.extend(shown_pictures(pipeline, settings.view_dir))

    def recognise(images: Iterable[Image]) -> Iterator[Outcome]:
        for batch in _batches(map(to_record, images), settings.batch_size):
            metrics.count("records_in", len(batch))
            metrics.observe("batch_size", len(batch))
            outcomes = _run_steps(steps, batch)
            for record in outcomes:
                if isinstance(record, ImageRecord):
                    for write in writers:
                        write(record)
            yield from outcomes
            n_rejected = sum(isinstance(outcome, Rejected) for outcome in outcomes)
            metrics.count("rejected", n_rejected)
            metrics.count("records_out", len(outcomes) - n_rejected)

    return recognise


def recognise_chunk(number: int, chunk: Chunk, redeem: Redeem, recognise: Recognise) -> Recognised:
    """Return what becomes of a chunk; its images are read and recognised as they are taken."""
    read_at = time.time()
    outcomes = recognise(redeem(chunk.claims))
    return Recognised(
        number,
        outcomes,
        chunk.source_id,
        chunk.index,
        has_ended=chunk.is_last,
        labels=chunk.labels,
        read_at=read_at,
    )


def recognise_frame(
    frame: Frame, redeem: Redeem, recognise: Recognise, *, by_source: bool
) -> Recognised:
    """Return what becomes of a frame, as one of its stream or of the stream of all images."""
    content, number = frame.content, frame.number
    index = frame.index if by_source else number
    if isinstance(content, StreamEnd):
        return Recognised(number, (), "", index, has_ended=not by_source, n_images=content.n_images)
    if isinstance(content, SourceEnd):
        source_id = content.source_id if by_source else ""
        return Recognised(number, (), source_id, index, has_ended=by_source)
    if isinstance(content, Label):
        source_id = content.source_id if by_source else ""
        return Recognised(number, (), source_id, index, labels=(content,))
    source_id = content.origin.source_id if by_source else ""
    if isinstance(content, Skipped):
        return Recognised(number, (), source_id, index, content.n_images)
    images = redeem((content,)) if isinstance(content, Claim) else [content]
    return Recognised(number, recognise(images), source_id, index, read_at=frame.read_at)


def _redeem(read: Read, claim: Claim) -> Iterator[Image]:
    """Redeem a claim and hold the source to its promise."""
    n_images = 0
    for image in read(claim):
        n_images += 1
        yield image
    if n_images != claim.n_images:
        raise PipelineError(
            f"{claim.origin.uri}: the source must give the {claim.n_images} images of its claim; "
            f"it gave {n_images}"
        )


def _decoder(
    pipeline: Pipeline, settings: RunSettings, metrics: Metrics
) -> Callable[[Image], Outcome]:
    """Return the function that makes bytes into pixels, at a scale that is enough for all."""
    parts = [step.operator for step in pipeline.pixel_steps]
    scales = [part.scale_for for part in parts] + [s.scale_for for _, s in pipeline.image_sinks]

    def scale_for(width: int, height: int) -> float:
        if not settings.reduced_decode or not parts:
            return 1.0
        return min(1.0, max(scale(width, height) for scale in scales))

    def to_record(image: Image) -> Outcome:
        if not isinstance(image, EncodedImage):
            return image
        started = time.perf_counter()
        try:
            decoded = decode(image.data, max_pixels=settings.max_pixels, scale_for=scale_for)
        except DecodeError as error:
            return Rejected(image.origin, "decode", error.reason, error.message)
        metrics.observe("decode_ms", (time.perf_counter() - started) * 1e3)
        return ImageRecord(image.origin, decoded.width, decoded.height, decoded.pixels)

    return to_record


def _batches(images: Iterable[Outcome], batch_size: int) -> Iterator[list[Outcome]]:
    """Group images; a batch of large pictures is cut short to bound its memory."""
    batch: list[Outcome] = []
    n_bytes = 0
    for image in images:
        batch.append(image)
        n_bytes += image.pixels.nbytes if isinstance(image, ImageRecord) else 0
        if len(batch) >= batch_size or n_bytes > _MAX_BATCH_BYTES:
            yield batch
            batch, n_bytes = [], 0
    if batch:
        yield batch


def _run_steps(steps: Sequence[tuple[str, Process]], batch: Sequence[Outcome]) -> list[Outcome]:
    """Pass the records of a batch through all steps; what is rejected stays in its place."""
    outcomes = list(batch)
    for name, process in steps:
        places = [i for i, outcome in enumerate(outcomes) if isinstance(outcome, ImageRecord)]
        records = [outcome for outcome in outcomes if isinstance(outcome, ImageRecord)]
        if not records:
            break
        with blaming(name, records):
            results = process(records)
        if not isinstance(results, Sequence):
            raise PipelineError(
                f"step {name!r} must return a list of outcomes; got {type(results).__name__}"
            )
        if len(results) != len(records):
            raise PipelineError(
                f"step {name!r} must return one outcome for each of {len(records)} records; "
                f"got {len(results)}"
            )
        for place, result in zip(places, results, strict=True):
            outcomes[place] = result
    return outcomes
