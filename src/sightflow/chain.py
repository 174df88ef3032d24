"""The fused chain: claims in, outcomes out. Both runners call it and nothing else recognises.

Reading, decoding, every step and the sinks that need pixels run in one place, on small batches, so
that decoded pixels never leave the worker.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack

from sightflow.errors import DecodeError, PipelineError
from sightflow.ops.decode import decode
from sightflow.pipeline import Pipeline
from sightflow.protocols import Context, Outcome, Process
from sightflow.records import Claim, EncodedImage, ImageRecord, Rejected
from sightflow.settings import RunSettings

__all__ = ["open_chain"]

_MAX_BATCH_BYTES = 256 << 20


def open_chain(
    pipeline: Pipeline, settings: RunSettings, *, n_threads: int, resources: ExitStack
) -> Callable[[Sequence[Claim]], Iterator[Outcome]]:
    """Open every part of a pipeline in this worker.

    Args:
        pipeline: what to do.
        settings: how.
        n_threads: threads that this worker may use inside a model call.
        resources: closed by the caller when the worker stops.

    Returns:
        A function that redeems claims: one outcome for each image, in the order of the claims.
    """
    read = pipeline.source.open(Context("read", n_threads, resources))
    to_record = _decoder(pipeline, settings)
    steps = [
        (step.name, step.operator.open(Context(step.name, n_threads, resources)))
        for step in pipeline.steps
    ]
    writers = [
        sink.open_images(Context(name, n_threads, resources)) for name, sink in pipeline.image_sinks
    ]

    def recognise(claims: Sequence[Claim]) -> Iterator[Outcome]:
        images = (to_record(image) for claim in claims for image in _redeem(read, claim))
        for batch in _batches(images, settings.batch_size):
            outcomes = _run_steps(steps, batch)
            for record in outcomes:
                if isinstance(record, ImageRecord):
                    for write in writers:
                        write(record)
            yield from outcomes

    return recognise


def _redeem(
    read: Callable[[Claim], Iterator[EncodedImage | ImageRecord | Rejected]], claim: Claim
) -> Iterator[EncodedImage | ImageRecord | Rejected]:
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
    pipeline: Pipeline, settings: RunSettings
) -> Callable[[EncodedImage | ImageRecord | Rejected], Outcome]:
    """Return the function that makes bytes into pixels, at a scale that is enough for all."""
    parts = [step.operator for step in pipeline.steps]
    scales = [part.scale_for for part in parts] + [s.scale_for for _, s in pipeline.image_sinks]

    def scale_for(width: int, height: int) -> float:
        if not settings.reduced_decode or not parts:
            return 1.0
        return min(1.0, max(scale(width, height) for scale in scales))

    def to_record(image: EncodedImage | ImageRecord | Rejected) -> Outcome:
        if not isinstance(image, EncodedImage):
            return image
        try:
            decoded = decode(image.data, max_pixels=settings.max_pixels, scale_for=scale_for)
        except DecodeError as error:
            return Rejected(image.origin, "decode", error.reason, error.message)
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
        results = process(records)
        if len(results) != len(records):
            raise PipelineError(
                f"step {name!r} must return one outcome for each of {len(records)} records; "
                f"got {len(results)}"
            )
        for place, result in zip(places, results, strict=True):
            outcomes[place] = result
    return outcomes
