"""Checks of what gives images, and labels."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from sightflow.pipeline import Pipeline
from sightflow.protocols import Context, LabelSource, Polled, Source, StreamSource, reader_of
from sightflow.records import (
    Claim,
    EncodedImage,
    ImageRecord,
    Label,
    Origin,
    Rejected,
    Skipped,
    SourceEnd,
)
from sightflow.sources.joined import Joined
from sightflow.sources.live import Live
from sightflow.testing.builders import a_context
from sightflow.testing.descriptions import check_description, sent

__all__ = ["Polled", "check_labels", "check_source", "check_stream"]

Redeemed: TypeAlias = EncodedImage | ImageRecord | Rejected

_IMAGES = (Claim, EncodedImage)


def check_source(source: Source) -> list[Claim]:
    """Raise AssertionError unless the source keeps the promises of `protocols.Source`.

    It must list at least two images, which are read forwards and backwards.
    """
    check_description(source, Pipeline)
    claims = list(source.claims())
    assert claims == list(source.claims()), "claims must be the same list each time"
    forwards = _redeemed(source, claims)
    backwards = _redeemed(source, claims[::-1])[::-1]
    images = [image for part in forwards for image in part]
    assert len(images) > 1, f"a check needs two images or more; {source!r} lists {len(images)}"
    for claim, part, again in zip(claims, forwards, backwards, strict=True):
        _check_redeemed(claim, part)
        same = [*map(_content, part)] == [*map(_content, again)]
        assert same, f"claims can be redeemed in any order; {claim} gives something else then"
    gives = getattr(source, "gives", None) or ()
    filled = [name for name in gives for i in images if getattr(i, name, None) is not None]
    assert filled or not gives, f"`gives` is {gives}, and no image came with any of it"
    origins = [image.origin for image in images]
    _check_names(origins)
    for source_id in {origin.source_id for origin in origins}:
        numbers = [origin.sequence for origin in origins if origin.source_id == source_id]
        counts = numbers[0] == 0 and _rises(numbers)
        assert counts, f"`sequence` counts up from 0; in {source_id!r} it is {numbers[:5]}"
    return claims


def _redeemed(source: Source | StreamSource, claims: Sequence[Claim]) -> list[list[Redeemed]]:
    context = a_context("read")
    with context.resources:
        read = reader_of(sent(source), context)
        return [list(read(claim)) for claim in claims]


def _check_redeemed(claim: Claim, images: Sequence[Redeemed]) -> None:
    """Raise AssertionError unless a claim gave its images, each with its own origin."""
    kinds = [type(image).__name__ for image in images]
    assert len(images) == claim.n_images, f"{claim} promises {claim.n_images}; gave {len(images)}"
    for image in images:
        assert isinstance(image, Redeemed), f"a claim gives bytes, pixels, or rejects; got {kinds}"
    places = [(image.origin.sequence, image.origin.event_time_ms) for image in images]
    if claim.frames:
        wanted = [(number, time_ms) for number, _, time_ms in claim.frames]
        assert places == wanted, f"images have number and time of their rows in {claim.frames}"
    else:
        assert images[0].origin == claim.origin, f"an image has the origin of its claim {claim}"


def check_stream(source: StreamSource, *, replays: bool = True) -> list[Polled]:
    """Raise AssertionError unless a source keeps the promises of `protocols.StreamSource`.

    The stream must end by itself, and soon: it is read to its end, and again from each position
    that it gave, behind images, labels and whatever else.
    A camera cannot show again what it showed: with `replays=False` it may give anything after a
    restart, but nothing under a name that was given before the position.
    """
    check_description(source, Pipeline)
    items: list[Polled]
    items, positions = _polled(source.open_stream, None)
    assert any(isinstance(item, _IMAGES) for item in items), (
        f"a check needs a stream that gives images; got {items}"
    )
    claims = [item for item in items if isinstance(item, Claim)]
    for claim, part in zip(claims, _redeemed(source, claims), strict=True):
        _check_redeemed(claim, part)
    _check_names([item.origin for item in items if not isinstance(item, Label | SourceEnd)])
    images = [item for item in items if isinstance(item, _IMAGES)]
    for source_id in {image.origin.source_id for image in images}:
        _check_order(images, source_id)
    later = getattr(source, "labels_come_later", False)
    assert later or not any(isinstance(item, Label) for item in items), (
        "a stream that gives labels has a class variable `labels_come_later = True`"
    )
    for n_read, position in enumerate(positions, 1):
        rest, _ = _polled(sent(source).open_stream, position)
        again = _names(rest) & _names(items[:n_read])
        assert not again, f"opened at the position behind an image, a stream gave it again: {again}"
        assert not replays or _are_the_same(rest, items[n_read:]), (
            f"opened at the position behind item {n_read} of {len(items)}, "
            f"{type(items[n_read - 1]).__name__}, a stream must give those behind it"
        )
    return items


def check_labels(source: LabelSource) -> list[Label | Rejected]:
    """Raise AssertionError unless a source keeps the promises of `protocols.LabelSource`.

    The stream must end by itself, and soon. It is read to its end, and again from each position.
    """
    check_description(source, lambda labels: Pipeline(Joined(Live("camera"), labels)))
    labels: list[Label | Rejected]
    labels, positions = _polled(source.open_labels, None)
    assert any(isinstance(label, Label) for label in labels), (
        f"a check needs a stream that gives labels; got {labels}"
    )
    for i, position in enumerate(positions):
        rest, _ = _polled(sent(source).open_labels, position)
        assert [*map(_content, rest)] == [*map(_content, labels[i + 1 :])], (
            "opened at the position behind a label, a stream must give those behind it"
        )
    return labels


def _polled(
    open_stream: Callable[[Context, str | None], Any], position: str | None
) -> tuple[list[Any], list[str]]:
    """Read a stream to its end; return what it gave, and the position behind each."""
    items: list[Any] = []
    positions: list[str] = []
    context = a_context("read")
    with context.resources:
        stream = open_stream(context, position)
        while not stream.ended():
            item = stream.poll(0.01)
            if item is not None:
                items.append(item)
                positions.append(stream.position())
        assert stream.poll(0.0) is None, "a stream that has ended gives nothing"
    return items, positions


def _check_names(origins: Sequence[Origin]) -> None:
    """Raise AssertionError unless names are unique, and stay inside a folder."""
    names = [origin.name for origin in origins]
    assert len(names) == len(set(names)), "names must be unique"
    for path in map(PurePosixPath, names):
        leads_out = path.is_absolute() or ".." in path.parts
        assert not leads_out, f"names are relative paths, of files to be written; got {path}"


def _check_order(images: Sequence[Claim | EncodedImage], source_id: str) -> None:
    """Raise AssertionError unless numbers rise, and times do not fall, in a stream."""
    origins = [image.origin for image in images if image.origin.source_id == source_id]
    assert _rises([origin.sequence for origin in origins]), f"`sequence` counts up in {source_id!r}"
    times_ms = [origin.event_time_ms for origin in origins]
    assert times_ms == sorted(times_ms), f"`event_time_ms` never goes back in {source_id!r}"


def _rises(numbers: Sequence[int]) -> bool:
    return list(numbers) == sorted(set(numbers))


def _names(items: Iterable[Polled]) -> set[str]:
    return {item.origin.name for item in items if not isinstance(item, Label | SourceEnd)}


def _are_the_same(rest: Sequence[Polled], before: Sequence[Polled]) -> bool:
    """Return whether a stream gave the same again; numbers suffice where images were left out.

    Images, what was rejected, labels and ends are each in their order. How they mix is when they
    came.
    """
    for kind in (Claim, EncodedImage, Rejected, Label, SourceEnd):
        there, here = (
            [item for item in items if isinstance(item, kind)] for items in (rest, before)
        )
        if kind not in (Label, SourceEnd) and any(
            isinstance(item, Skipped) for item in (*rest, *before)
        ):
            continue
        if [*map(_content, there)] != [*map(_content, here)]:
            return False
    return _n_images(rest) == _n_images(before)


def _n_images(items: Iterable[Polled]) -> int:
    """Return how many images were given or skipped; some that were rejected may be labels."""
    images = (item for item in items if not isinstance(item, Label | SourceEnd))
    return sum(item.n_images if isinstance(item, Claim | Skipped) else 1 for item in images)


def _content(item: Redeemed | Polled) -> Any:
    """Return what is the same when something is read again: not when, nor why it was rejected."""
    if isinstance(item, Rejected):
        return item.origin.name, item.reason
    if isinstance(item, Label | Skipped | SourceEnd):
        return item
    origin = replace(item.origin, event_time_ms=0)
    if isinstance(item, Claim):
        return replace(item, origin=origin)
    if isinstance(item, EncodedImage):
        return origin, item.data
    return origin, item.pixels.shape, item.pixels.tobytes()
