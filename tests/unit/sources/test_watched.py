"""A folder is watched: what comes is handed out once, whole, and where it ends is said."""

import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from sightflow.errors import PipelineError, SourceError
from sightflow.records import Claim, EncodedImage, Rejected, Skipped
from sightflow.sources.watched import Watched
from sightflow.testing import a_context, draw_scene, encode_image

QUICK = {"every_s": 0.02, "settle_ms": 60.0, "idle_s": 0.4}
PICTURE = encode_image(draw_scene(32, 24))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "in"
    found.mkdir()
    return found


def write(path: Path, data: bytes = PICTURE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def read(source: Watched, position: str | None = None, at_most: int | None = None):
    """Return what a stream gives until it ends or has given so many, and its last position."""
    context = a_context("read")
    items: list = []
    with context.resources:
        stream = source.open_stream(context, position)
        while not stream.ended() and (at_most is None or len(items) < at_most):
            if (item := stream.poll(0.05)) is not None:
                items.append(item)
                position = stream.position()
        return items, position


def names(items) -> list[str]:
    return [os.path.basename(item.origin.uri) for item in items]


def redeemed(source: Watched, items) -> list[EncodedImage | Rejected]:
    context = a_context("read")
    with context.resources:
        reads = source.open(context)
        return [image for item in items for image in reads(item)]


def test_pictures_that_are_there_and_those_that_come_are_handed_out_once(folder) -> None:
    for i in range(20):
        write(folder / f"{i:03d}.jpg")

    def fill() -> None:
        for i in range(20, 60):
            write(folder / f"{i:03d}.jpg")
            time.sleep(0.005)

    writer = threading.Thread(target=fill)
    writer.start()
    items, _ = read(Watched(str(folder), **QUICK))
    writer.join()
    assert sorted(names(items)) == [f"{i:03d}.jpg" for i in range(60)]
    assert [item.origin.sequence for item in items] == list(range(60))
    assert {item.origin.source_id for item in items} == {str(folder)}
    images = redeemed(Watched(str(folder)), items)
    assert all(isinstance(image, EncodedImage) and image.data == PICTURE for image in images)


def test_a_file_is_handed_out_when_it_is_written_to_its_end(folder) -> None:
    def write_slowly() -> None:
        with open(folder / "a.jpg", "wb") as file:
            for start in range(0, len(PICTURE), 100):
                file.write(PICTURE[start : start + 100])
                file.flush()
                time.sleep(0.02)

    writer = threading.Thread(target=write_slowly)
    writer.start()
    source = Watched(str(folder), every_s=0.02, settle_ms=150.0, idle_s=0.3)
    items, _ = read(source, at_most=1)
    assert not writer.is_alive() or len(redeemed(source, items)[0].data) == len(PICTURE)
    (image,) = redeemed(source, items)
    assert isinstance(image, EncodedImage)
    assert image.data == PICTURE


def test_a_writer_that_pauses_too_long_is_read_twice(folder) -> None:
    write(folder / "a.jpg", PICTURE[:300])
    source = Watched(str(folder), **QUICK)
    items, position = read(source)
    write(folder / "a.jpg")
    more, _ = read(source, position)
    assert names(items) == names(more) == ["a.jpg"]
    assert items[0].origin.name != more[0].origin.name, "files that are derived are different ones"


def test_renamed_into_place_it_is_handed_out_at_once(folder) -> None:
    write(folder / "a.jpg.part")
    source = Watched(str(folder), every_s=0.02, settle_ms=0.0, idle_s=0.2)
    assert read(source)[0] == []
    os.rename(folder / "a.jpg.part", folder / "a.jpg")
    assert names(read(source)[0]) == ["a.jpg"]


def test_copies_with_old_times_and_whole_folders_are_new_after_a_restart_too(
    folder, tmp_path
) -> None:
    source = Watched(str(folder), grace_s=1.0, **QUICK)
    write(folder / "a.jpg")
    write(folder / "known" / "b.jpg")
    write(tmp_path / "old.jpg")
    write(tmp_path / "day" / "c.jpg")
    os.utime(tmp_path / "old.jpg", (1e9, 1e9))
    time.sleep(2.1)  # the floor is a whole second
    write(folder / "d.jpg")
    items, position = read(source)
    assert sorted(names(items)) == ["a.jpg", "b.jpg", "d.jpg"]
    shutil.copy2(tmp_path / "old.jpg", folder / "known" / "old.jpg")
    os.rename(tmp_path / "day", folder / "day")
    more, _ = read(source, position)
    assert sorted(names(more)) == ["c.jpg", "old.jpg"]
    (old,) = (item.origin for item in more if "old.jpg" in item.origin.uri)
    assert old.event_time_ms == 1_000_000_000_000


def test_from_each_position_the_rest_comes_and_nothing_twice(folder) -> None:
    for i in range(8):
        write(folder / f"{i}.jpg")
    source = Watched(str(folder), every_s=0.02, settle_ms=0.0, idle_s=0.0)
    items, _ = read(source)
    for n_read in range(1, 8):
        first, position = read(source, at_most=n_read)
        rest, _ = read(source, position)
        assert names(first + rest) == names(items)


def test_only_new_ones_leave_out_what_was_there_and_what_came_before_a_restart_is_new(
    folder,
) -> None:
    write(folder / "old.jpg")
    source = Watched(str(folder), start="new", **QUICK)
    context = a_context("read")
    with context.resources:
        stream = source.open_stream(context, None)
        while not stream.ended():
            assert stream.poll(0.05) is None
        position = stream.position()
    write(folder / "while it was down.jpg")
    assert names(read(source, position)[0]) == ["while it was down.jpg"]


def test_a_name_that_is_no_utf_8_is_a_name(folder) -> None:
    write(folder / os.fsdecode(b"\xff") / os.fsdecode(b"\xfe.jpg"))
    source = Watched(str(folder), by_folder=True, **QUICK)
    items, position = read(source)
    assert names(items) == [os.fsdecode(b"\xfe.jpg")]
    assert isinstance(redeemed(source, items)[0], EncodedImage)
    assert read(source, position)[0] == []


def test_a_file_that_is_gone_before_it_is_read_is_rejected(folder) -> None:
    write(folder / "a.jpg")
    source = Watched(str(folder), **QUICK)
    items, _ = read(source)
    os.remove(folder / "a.jpg")
    (image,) = redeemed(source, items)
    assert isinstance(image, Rejected)
    assert image.reason == "unreadable"


def test_a_folder_that_is_gone_for_a_while_is_told_and_waited_for(folder, caplog) -> None:
    write(folder / "a.jpg")
    source = Watched(str(folder), every_s=0.02, settle_ms=0.0)
    context = a_context("read")
    found = []
    with context.resources:
        stream = source.open_stream(context, None)
        while (item := stream.poll(1.0)) is None:
            pass
        os.rename(folder, folder.with_name("away"))
        time.sleep(0.15)
        os.rename(folder.with_name("away"), folder)
        write(folder / "b.jpg")
        deadline = time.monotonic() + 5
        while not found and time.monotonic() < deadline:
            found += [other for other in [stream.poll(0.05)] if other is not None]
    assert names([item, *found]) == ["a.jpg", "b.jpg"]
    told = [record.getMessage() for record in caplog.records]
    assert any("cannot be listed" in line for line in told)
    assert any("can be listed again" in line for line in told)


def test_a_poll_returns_in_its_time(folder) -> None:
    context = a_context("read")
    with context.resources:
        stream = Watched(str(folder)).open_stream(context, None)
        began = time.monotonic()
        assert stream.poll(0.05) is None
        assert time.monotonic() - began < 0.5
        assert not stream.ended(), "without `idle_s` it goes on"


def test_it_ends_only_when_nothing_waits_to_be_complete(folder) -> None:
    write(folder / "a.jpg")
    source = Watched(str(folder), every_s=0.02, settle_ms=300.0, idle_s=0.0)
    assert names(read(source)[0]) == ["a.jpg"]


def test_who_skips_leaves_out_old_pictures(folder) -> None:
    for i in range(3):
        write(folder / f"{i}.jpg")
        os.utime(folder / f"{i}.jpg", (1e9 + i, 1e9 + i))
    write(folder / "now.jpg")
    source = Watched(str(folder), when_behind="skip", max_age_ms=60_000, **QUICK)
    skipped, claim = read(source)[0]
    assert isinstance(skipped, Skipped)
    assert skipped.n_images == 3
    assert isinstance(claim, Claim)
    assert (claim.origin.sequence, names([claim])) == (3, ["now.jpg"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": "latest"}, "`start` is one of all, new; got 'latest'"),
        ({"every_s": 0}, "`every_s` is above 0; got 0"),
        ({"settle_ms": -1}, "`settle_ms` is from 0; got -1"),
        ({"grace_s": 0.5}, "`grace_s` is from 1; got 0.5"),
        ({"max_age_ms": 5}, "`max_age_ms` goes with `when_behind` skip; got 5 with wait"),
        ({"time_pattern": "("}, "`time_pattern` must be a regular expression; got '\\('"),
        ({"time_pattern": "(?P<hour>..)"}, "at least year, epoch_s or epoch_ms, as in .*'hour'"),
        ({"time_pattern": "(?P<epoch_s>.)(?P<x>.)"}, "`time_pattern` has groups of year"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message) -> None:
    with pytest.raises(PipelineError, match=message):
        Watched("in", **options)


def test_a_file_is_no_folder(folder) -> None:
    write(folder / "a.jpg")
    with pytest.raises(SourceError, match="is no folder; Directory reads a file"):
        read(Watched(str(folder / "a.jpg"), **QUICK))


@pytest.mark.parametrize(
    ("pattern", "name", "time_ms"),
    [
        (r"(?P<epoch_ms>\d{13})", "x-1700000000123.jpg", 1_700_000_000_123),
        (r"(?P<epoch_s>\d{10})", "1700000000/a.jpg", 1_700_000_000_000),
        (
            r"(?P<year>\d+)-(?P<month>\d+)-(?P<day>\d+)T(?P<hour>\d\d)(?P<minute>\d\d)"
            r"(?P<second>\d\d)\.(?P<millisecond>\d{3})",
            "2023-11-14T221320.123.jpg",
            1_700_000_000_123,
        ),
    ],
)
def test_a_time_is_read_from_a_name(pattern, name, time_ms, folder) -> None:
    write(folder / name)
    items, _ = read(Watched(str(folder), time_pattern=pattern, **QUICK))
    assert [item.origin.event_time_ms for item in items] == [time_ms]
