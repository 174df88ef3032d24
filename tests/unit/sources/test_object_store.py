"""Pictures in an object store: listed, watched, and read by whoever has the claim."""

import time
from collections.abc import Iterator

import pytest
from tests.s3_server import BUCKET, Store, store

from sightflow.errors import SourceError
from sightflow.records import EncodedImage, Rejected
from sightflow.sources.directory import Directory
from sightflow.sources.watched import Watched
from sightflow.testing import a_context, check_source, draw_scene, encode_image

PICTURE = encode_image(draw_scene(32, 24))
QUICK = {"every_s": 0.05, "idle_s": 0.3}


@pytest.fixture
def bucket() -> Iterator[Store]:
    with store() as found:
        yield found


def read(source: Watched, position: str | None = None, act=lambda n: None):
    """Return the claims that a stream gives until it ends, and its last position."""
    context = a_context("read")
    claims: list = []
    with context.resources:
        stream = source.open_stream(context, position)
        while not stream.ended():
            if (claim := stream.poll(0.05)) is not None:
                claims.append(claim)
                position = stream.position()
                act(len(claims))
    return claims, position


def keys(claims) -> list[str]:
    return [claim.origin.uri.removeprefix(f"s3://{BUCKET}/") for claim in claims]


def redeemed(source, claims) -> list[EncodedImage | Rejected]:
    context = a_context("read")
    with context.resources:
        reads = source.open(context)
        return [image for claim in claims for image in reads(claim)]


def test_a_directory_lists_a_bucket_and_reads_it(bucket: Store) -> None:
    for key in ("day/a.jpg", "day/b.jpg", "other/c.jpg"):
        bucket.put(key, PICTURE)
    source = Directory(f"s3://{BUCKET}/day")
    claims = check_source(source)
    assert keys(claims) == ["day/a.jpg", "day/b.jpg"]
    assert [claim.origin.name for claim in claims] == ["a.jpg", "b.jpg"]
    assert abs(claims[0].origin.event_time_ms / 1000 - time.time()) < 60
    assert [image.data for image in redeemed(source, claims)] == [PICTURE] * 2


def test_objects_that_come_while_it_runs_are_handed_out_once(bucket: Store) -> None:
    bucket.put("in/0.jpg", PICTURE)

    def act(n_claims: int) -> None:
        if n_claims < 6:
            bucket.put(f"in/{n_claims}.jpg", PICTURE)

    source = Watched(f"s3://{BUCKET}/in", **QUICK)
    claims, _ = read(source, act=act)
    assert keys(claims) == [f"in/{i}.jpg" for i in range(6)]
    assert [image.data for image in redeemed(source, claims)] == [PICTURE] * 6


def test_after_a_restart_only_the_rest_comes_and_what_has_other_content(bucket: Store) -> None:
    for i in range(3):
        bucket.put(f"in/{i}.jpg", PICTURE)
    source = Watched(f"s3://{BUCKET}/in", **QUICK)
    _, position = read(source)
    bucket.put("in/1.jpg", encode_image(draw_scene(32, 30)))
    bucket.put("in/3.jpg", PICTURE)
    claims, _ = read(source, position)
    assert sorted(keys(claims)) == ["in/1.jpg", "in/3.jpg"]
    assert sorted(claim.origin.sequence for claim in claims) == [3, 4]


def test_markers_of_folders_are_no_pictures(bucket: Store) -> None:
    for key in ("in/", "in/day/"):
        bucket.put(key, b"")
    bucket.put("in/day/a.jpg", PICTURE)
    claims, _ = read(Watched(f"s3://{BUCKET}/in", **QUICK))
    assert keys(claims) == ["in/day/a.jpg"]
    assert keys(Directory(f"s3://{BUCKET}/in").claims()) == ["in/day/a.jpg"]


def test_a_prefix_may_be_empty_at_first(bucket: Store) -> None:
    source = Watched(f"s3://{BUCKET}/later", every_s=0.05, idle_s=0.2)
    assert read(source)[0] == []


def test_a_bucket_that_is_not_there_is_an_error(bucket: Store) -> None:
    with pytest.raises(SourceError, match="s3://nowhere/in: no such folder"):
        read(Watched("s3://nowhere/in", **QUICK))


def test_an_object_that_is_gone_is_rejected(bucket: Store) -> None:
    bucket.put("in/a.jpg", PICTURE)
    source = Watched(f"s3://{BUCKET}/in", **QUICK)
    claims, _ = read(source)
    bucket.delete("in/a.jpg")
    (image,) = redeemed(source, claims)
    assert isinstance(image, Rejected)
    assert image.reason == "unreadable"
