"""Several cameras at once, of which some come and go; numbers never begin anew."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.pictures import draw_video
from tests.rtsp_server import Camera

from sightflow.errors import PipelineError, SourceError
from sightflow.records import EncodedImage, Rejected, Skipped, SourceEnd
from sightflow.sources.cameras import Cameras, CamerasStream
from sightflow.sources.live import Live
from sightflow.tasks.control import Settings
from sightflow.testing import a_context


class Switch:
    """The cameras that messages have added, and removed."""

    def __init__(self, **cameras: dict[str, Any]) -> None:
        self.cameras = cameras

    def __call__(self) -> Settings:
        return Settings(cameras=self.cameras)

    def turn(self, **cameras: dict[str, Any]) -> None:
        self.cameras = {**self.cameras, **cameras}


@contextmanager
def opened(
    *cameras: Live, switch: Switch | None = None, position: str | None = None
) -> Iterator[CamerasStream]:
    context = replace(a_context("read"), settings=switch)
    with context.resources:
        yield Cameras(cameras).open_stream(context, position)


def poll(stream: CamerasStream, n_images: int, *names: str) -> list[Any]:
    """Return items until each of these cameras has given so many images."""
    items, deadline = list[Any](), time.monotonic() + 20
    while any(len(numbers(items, name)) < n_images for name in names):
        assert time.monotonic() < deadline, items
        if (item := stream.poll(0.1)) is not None:
            items.append(item)
    return items


def poll_to_the_end_of(stream: CamerasStream, name: str) -> list[Any]:
    items, deadline = list[Any](), time.monotonic() + 20
    while SourceEnd(name) not in items:
        assert time.monotonic() < deadline, items
        if (item := stream.poll(0.1)) is not None:
            items.append(item)
    return items


def numbers(items: list[Any], name: str) -> list[int]:
    found = [item for item in items if isinstance(item, EncodedImage | Rejected)]
    return [item.origin.sequence for item in found if item.origin.source_id == name]


def n_seen(items: list[Any], name: str) -> int:
    """Return how many pictures of a camera there are, those that were skipped included."""
    skipped = [i for i in items if isinstance(i, Skipped) and i.origin.source_id == name]
    return len(numbers(items, name)) + sum(item.n_images for item in skipped)


def test_pictures_of_all_come_by_turns_and_have_names_of_their_own():
    with Camera() as a, Camera() as b:
        cameras = Live(a.url(), source_id="a"), Live(b.url(), source_id="b c")
        with opened(*cameras) as stream:
            items = poll(stream, 10, "a", "b c")
    names = [item.origin.name for item in items]
    assert len(set(names)) == len(names)
    assert {name.rpartition("/")[0] for name in names} == {"a", "b%20c"}
    for name in ("a", "b c"):
        assert numbers(items, name) == sorted(numbers(items, name))


def test_one_that_is_added_starts_within_a_second_and_one_that_is_removed_ends():
    switch = Switch()
    with (
        Camera() as a,
        Camera() as b,
        opened(Live(a.url(), source_id="a"), switch=switch) as stream,
    ):
        poll(stream, 3, "a")
        switch.turn(b={"url": b.url()})
        asked = time.monotonic()
        poll(stream, 1, "b")
        assert time.monotonic() - asked < 1.0
        switch.turn(a={})
        before = poll_to_the_end_of(stream, "a")
        after = poll(stream, 5, "b")
    assert before.count(SourceEnd("a")) == 1
    assert not numbers(after, "a")
    assert SourceEnd("a") not in after


def test_one_that_comes_again_goes_on_with_its_numbers():
    switch = Switch()
    with Camera() as a, opened(switch=switch) as stream:
        switch.turn(a={"url": a.url()})
        first = poll(stream, 5, "a")
        switch.turn(a={})
        first += poll_to_the_end_of(stream, "a")
        switch.turn(a={"url": a.url()})
        second = poll(stream, 5, "a")
    assert numbers(second, "a")[0] >= n_seen(first, "a")


def test_one_with_another_url_goes_on_and_does_not_end():
    switch = Switch()
    with Camera() as a, Camera() as b, opened(switch=switch) as stream:
        switch.turn(gate={"url": a.url()})
        first = poll(stream, 5, "gate")
        switch.turn(gate={"url": b.url()})
        while not b.sent:
            first += [item for item in [stream.poll(0.1)] if item is not None]
        second = poll(stream, 5, "gate")
    assert SourceEnd("gate") not in (*first, *second)
    assert numbers(second, "gate")[0] >= n_seen(first, "gate")


def test_after_a_restart_they_are_where_they_were_and_one_that_has_gone_meanwhile_ends():
    switch = Switch()
    with Camera() as a, Camera() as b:
        switch.turn(a={"url": a.url()}, b={"url": b.url()})
        with opened(switch=switch) as stream:
            first = poll(stream, 5, "a", "b")
            position = stream.position()
        with opened(switch=Switch(a={"url": a.url()}, b={}), position=position) as stream:
            second = poll_to_the_end_of(stream, "b") + poll(stream, 5, "a")
            position = stream.position()
        with opened(switch=Switch(a={"url": a.url()}, b={}), position=position) as stream:
            third = poll(stream, 5, "a")
    assert numbers(second, "a")[0] >= n_seen(first, "a")
    assert not numbers(second, "b")
    assert SourceEnd("b") not in third, "its end is told once"


def test_recordings_end_and_with_the_last_of_them_all(tmp_path: Path):
    short, long = draw_video(tmp_path / "s.mp4", 5), draw_video(tmp_path / "l.mp4", 30)
    with opened(Live(str(short), source_id="s"), Live(str(long), source_id="l")) as stream:
        items = poll_to_the_end_of(stream, "l")
        assert stream.ended()
        position = stream.position()
    assert items.index(SourceEnd("s")) < items.index(SourceEnd("l")) == len(items) - 1
    assert (n_seen(items, "s"), n_seen(items, "l")) == (5, 30)
    with opened(Live(str(short), source_id="s"), position=position) as stream:
        assert stream.poll(0.5) is None
        assert stream.ended()


def test_one_that_was_added_and_cannot_work_ends_and_the_others_go_on(caplog, tmp_path: Path):
    switch = Switch(bad={"url": str(tmp_path / "nowhere.mp4")})
    with Camera() as a, opened(Live(a.url(), source_id="a"), switch=switch) as stream:
        items = poll_to_the_end_of(stream, "bad")
        assert len(numbers(poll(stream, 3, "a"), "a")) == 3
    assert not numbers(items, "bad")
    assert "its stream ends, and the others go on" in caplog.text


def test_one_that_is_there_from_the_start_and_cannot_work_is_an_error(tmp_path: Path):
    bad = Live(str(tmp_path / "nowhere.mp4"), source_id="bad")
    with opened(bad) as stream, pytest.raises(SourceError, match=r"nowhere.mp4: no such"):
        stream.poll(5.0)


def test_without_any_camera_it_ends_unless_one_may_be_added():
    with opened() as stream:
        assert stream.poll(0.0) is None
        assert stream.ended()
    with opened(switch=Switch()) as stream:
        assert stream.poll(0.0) is None
        assert not stream.ended()


@pytest.mark.parametrize(
    "cameras", [(Live("a"),), (Live("a", source_id="x"), Live("b", source_id="x"))]
)
def test_each_has_a_name_of_its_own(cameras: tuple[Live, ...]):
    with pytest.raises(PipelineError, match="Cameras: each has a `source_id` of its own"):
        Cameras(cameras)
