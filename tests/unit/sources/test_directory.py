"""Pictures are listed in order under names that people know, and read back by them."""

import os
import zipfile
from pathlib import Path

import fsspec
import pytest

from sightflow.errors import PipelineError, SourceError
from sightflow.records import Claim, EncodedImage, Rejected
from sightflow.sources.directory import Directory
from sightflow.testing import a_context, check_source


def write(folder: Path, *names: str) -> str:
    """Write a file for each name, with the name as its content; return the folder."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return str(folder)


def write_zip(path: Path, *names: str) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return str(path)


def names(source: Directory) -> list[str]:
    return [claim.origin.name for claim in source.claims()]


def uris(source: Directory) -> list[str]:
    return [claim.origin.uri for claim in source.claims()]


def redeem(source: Directory, claims: list[Claim] | None = None) -> list[bytes | str]:
    """Return the bytes of each image, or the reason why it was rejected."""
    read = source.open(a_context("read"))
    results: list[bytes | str] = []
    for claim in claims or source.claims():
        for image in read(claim):
            assert isinstance(image, EncodedImage | Rejected)
            results.append(image.data if isinstance(image, EncodedImage) else image.reason)
    return results


def test_a_single_file_is_one_image_under_its_own_name(tmp_path: Path) -> None:
    write(tmp_path, "cat.jpg", "dog.jpg")
    source = Directory(str(tmp_path / "cat.jpg"))
    assert (names(source), uris(source)) == (["cat.jpg"], [f"{tmp_path}/cat.jpg"])
    assert redeem(source) == [b"cat.jpg"]


def test_a_single_file_is_taken_whatever_the_pattern_says(tmp_path: Path) -> None:
    write(tmp_path, "cat.jpg")
    assert names(Directory(str(tmp_path / "cat.jpg"), pattern="*.png")) == ["cat.jpg"]


def test_a_folder_is_listed_with_all_below_it_sorted_by_path(tmp_path: Path) -> None:
    folder = write(tmp_path, "b.jpg", "a.jpg", "sub/c.jpg", "sub/deep/d.jpg")
    assert names(Directory(folder)) == ["a.jpg", "b.jpg", "sub/c.jpg", "sub/deep/d.jpg"]


def test_a_folder_is_listed_without_its_folders_when_not_recursive(tmp_path: Path) -> None:
    folder = write(tmp_path, "b.jpg", "a.jpg", "sub/c.jpg")
    assert names(Directory(folder, recursive=False)) == ["a.jpg", "b.jpg"]


def test_an_empty_folder_has_no_images(tmp_path: Path) -> None:
    assert names(Directory(str(tmp_path))) == []


def test_images_are_counted_from_0_in_each_path(tmp_path: Path) -> None:
    folder = write(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    assert [claim.origin.sequence for claim in Directory(folder).claims()] == [0, 1, 2]


def test_the_time_of_an_image_is_when_its_file_was_last_changed(tmp_path: Path) -> None:
    import os

    write(tmp_path, "a.jpg")
    os.utime(tmp_path / "a.jpg", (1_700_000_000.25, 1_700_000_000.25))
    (claim,) = Directory(str(tmp_path)).claims()
    assert claim.origin.event_time_ms == 1_700_000_000_250


@pytest.mark.parametrize("pattern", ["*.jpg", "*.JPG", "*.jP?"])
def test_upper_and_lower_case_are_alike_in_a_pattern(tmp_path: Path, pattern: str) -> None:
    folder = write(tmp_path, "a.jpg", "b.JPG", "c.png", "jpg", "sub.jpg/d.txt")
    assert names(Directory(folder, pattern=pattern)) == ["a.jpg", "b.JPG"]


def test_a_glob_lists_the_files_that_match_it(tmp_path: Path) -> None:
    write(tmp_path, "day1/a.jpg", "day1/b.png", "day2/c.jpg", "night/d.jpg")
    source = Directory(f"{tmp_path}/day*/*.jpg")
    assert names(source) == ["day1/a.jpg", "day2/c.jpg"]
    assert redeem(source) == [b"day1/a.jpg", b"day2/c.jpg"]


def test_a_glob_goes_through_folders_with_two_stars(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", "x/y/b.jpg", "x/c.png")
    assert names(Directory(f"{tmp_path}/**/*.jpg")) == ["a.jpg", "x/y/b.jpg"]


def test_a_folder_that_looks_like_a_glob_is_still_a_folder(tmp_path: Path) -> None:
    folder = write(tmp_path / "day[1]*", "a.jpg")
    source = Directory(folder)
    assert (names(source), redeem(source)) == (["a.jpg"], [b"a.jpg"])


def test_a_folder_whose_name_ends_in_zip_is_a_folder(tmp_path: Path) -> None:
    folder = write(tmp_path / "unpacked.zip", "a.jpg")
    assert redeem(Directory(folder)) == [b"a.jpg"]


def test_relative_paths_stay_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "photos/a.jpg")
    monkeypatch.chdir(tmp_path)
    assert uris(Directory("photos")) == ["photos/a.jpg"]
    assert uris(Directory("./photos/*.jpg")) == ["./photos/a.jpg"]
    assert redeem(Directory("photos")) == [b"photos/a.jpg"]


@pytest.mark.parametrize("form", ["{zip}", "zip://{zip}", "zip://**/*::{zip}"])
def test_the_inside_of_an_archive_is_listed_like_a_folder(tmp_path: Path, form: str) -> None:
    archive = write_zip(tmp_path / "photos.zip", "b.jpg", "a.png", "sub/c.jpg")
    source = Directory(form.format(zip=archive))
    assert names(source) == ["a.png", "b.jpg", "sub/c.jpg"]
    assert uris(source)[2] == f"zip://sub/c.jpg::{archive}"
    assert redeem(source) == [b"a.png", b"b.jpg", b"sub/c.jpg"]


def test_a_glob_inside_an_archive_lists_what_matches(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "photos.zip", "b.jpg", "a.png", "sub/c.png")
    assert names(Directory(f"zip://*.png::{archive}")) == ["a.png"]


def test_an_archive_can_be_named_relative_to_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_zip(tmp_path / "photos.zip", "a.jpg")
    monkeypatch.chdir(tmp_path)
    source = Directory("photos.zip")
    assert (uris(source), redeem(source)) == (["zip://a.jpg::photos.zip"], [b"a.jpg"])


def test_a_pattern_holds_inside_an_archive_too(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "photos.zip", "a.JPG", "b.txt")
    assert names(Directory(archive, pattern="*.jpg")) == ["a.JPG"]


def test_names_from_an_archive_never_lead_out_of_an_output_folder(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "evil.zip", "../../up.jpg", "a/../../up.jpg", "/root.jpg")
    found = [Path(name) for name in names(Directory(archive))]
    assert not [name for name in found if name.is_absolute() or ".." in name.parts]


def test_a_damaged_member_of_an_archive_is_rejected_and_the_rest_goes_on(tmp_path: Path) -> None:
    archive = Path(write_zip(tmp_path / "photos.zip", "a.jpg", "b.jpg"))
    data = archive.read_bytes()
    archive.write_bytes(data.replace(b"a.jpga.jpg", b"a.jpgX.jpg", 1))  # content, not its CRC
    assert redeem(Directory(str(archive))) == ["unreadable", b"b.jpg"]


def test_a_file_that_is_no_archive_is_an_error_with_its_name(tmp_path: Path) -> None:
    write(tmp_path, "broken.zip")
    with pytest.raises(SourceError, match=r"broken\.zip: cannot be listed"):
        list(Directory(str(tmp_path / "broken.zip")).claims())


def test_urls_of_fsspec_are_listed_and_read() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/test-directory/b c.jpg", b"1")
    memory.pipe("/test-directory/sub/a#1.jpg", b"2")
    source = Directory("memory://test-directory")
    assert names(source) == ["b c.jpg", "sub/a#1.jpg"]
    assert redeem(source) == [b"1", b"2"]
    assert names(Directory("memory://test-directory/*/*.jpg")) == ["sub/a#1.jpg"]
    assert names(Directory("memory://test-directory/b c.jpg")) == ["b c.jpg"]


def test_urls_of_this_machine_are_read_like_paths(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", "sub/b.jpg")
    source = Directory(f"file://{tmp_path}")
    assert uris(source) == [f"file://{tmp_path}/a.jpg", f"file://{tmp_path}/sub/b.jpg"]
    assert redeem(source) == [b"a.jpg", b"sub/b.jpg"]


ODD = ["#1.jpg", "100%.jpg", "%41.jpg", " a b .jpg", "naïve-图.jpg", "new\nline.jpg", "a::b.jpg"]
ODD += ["[1]*?.jpg", "-rf.jpg", "back\\slash.jpg", "quote'\".jpg"]


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("prefix", ["", "file://"])
def test_odd_names_in_a_folder_are_read_back(tmp_path: Path, prefix: str, name: str) -> None:
    folder = write(tmp_path, name)
    source = Directory(prefix + folder)
    assert (names(source), redeem(source)) == ([name], [name.encode()])


@pytest.mark.parametrize("name", [name for name in ODD if name != "back\\slash.jpg"])
def test_odd_names_in_an_archive_are_read_back(tmp_path: Path, name: str) -> None:
    source = Directory(write_zip(tmp_path / "photos.zip", name))
    assert (names(source), redeem(source)) == ([name], [name.encode()])


@pytest.mark.parametrize("name", [name for name in ODD if "::" not in name])
def test_a_file_with_an_odd_name_can_be_given_by_itself(tmp_path: Path, name: str) -> None:
    write(tmp_path, name)
    source = Directory(str(tmp_path / name))
    assert (names(source), redeem(source)) == ([name], [name.encode()])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "nowhere: no such file, folder or pattern"),
        ("nowhere/*.jpg", r"nowhere/\*\.jpg: no such file, folder or pattern"),
        ("nowhere.zip", r"nowhere\.zip: cannot be listed: .*No such file"),
        ("memory://nowhere", "memory://nowhere: no such file"),
        ("nosuch://x", "nosuch://x: cannot be listed: Protocol not known: nosuch"),
    ],
)
def test_a_place_without_files_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=message):
        list(Directory(path).claims())


def test_names_tell_files_of_several_paths_apart(tmp_path: Path) -> None:
    one = write(tmp_path / "x/day", "a.jpg")
    two = write(tmp_path / "y/day", "a.jpg")
    source = Directory((one, two, f"{one}/a.jpg", f"{two}/a.jpg"))
    assert names(source) == ["day/a.jpg", "day-2/a.jpg", "a.jpg", "a.jpg-2/a.jpg"]


def test_each_path_is_a_stream_of_its_own(tmp_path: Path) -> None:
    paths = write(tmp_path / "x", "a.jpg", "b.jpg"), write(tmp_path / "y", "a.jpg")
    origins = [claim.origin for claim in Directory(paths).claims()]
    assert [(o.source_id, o.sequence) for o in origins] == [
        (paths[0], 0),
        (paths[0], 1),
        (paths[1], 0),
    ]


def test_the_order_does_not_depend_on_when_files_were_written(tmp_path: Path) -> None:
    folder = write(tmp_path, *(f"{n:02d}.jpg" for n in (5, 3, 9, 1)))
    assert [c.origin.name[:2] for c in check_source(Directory(folder))] == ["01", "03", "05", "09"]


def test_a_file_that_vanished_is_rejected_and_the_rest_goes_on(tmp_path: Path) -> None:
    folder = write(tmp_path, "a.jpg", "b.jpg")
    source = Directory(folder)
    claims = list(source.claims())
    (tmp_path / "a.jpg").unlink()
    assert redeem(source, claims) == ["unreadable", b"b.jpg"]


def test_a_link_to_nowhere_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to("gone.jpg")
    assert redeem(Directory(str(tmp_path))) == ["unreadable"]


def test_a_rejected_image_names_the_step_and_the_file(tmp_path: Path) -> None:
    source = Directory(write(tmp_path, "a.jpg"))
    claims = list(source.claims())
    (tmp_path / "a.jpg").unlink()
    (rejected,) = source.open(a_context("read"))(claims[0])
    assert isinstance(rejected, Rejected)
    assert (rejected.step, rejected.origin) == ("read", claims[0].origin)
    assert "No such file" in rejected.message


def test_a_pipe_in_a_folder_is_rejected_and_does_not_hang(tmp_path: Path) -> None:
    write(tmp_path, "cat.jpg")
    os.mkfifo(tmp_path / "pipe")

    assert redeem(Directory(str(tmp_path))) == [b"cat.jpg", "unreadable"]


def test_of_a_large_file_that_is_no_picture_only_the_beginning_is_read(tmp_path: Path) -> None:
    with open(tmp_path / "disk.img", "wb") as file:
        file.truncate(200 << 20)

    (head,) = redeem(Directory(str(tmp_path)))

    assert len(head) == 16 << 20


def test_pictures_of_a_video_have_the_times_of_its_frames(tmp_path):
    for name in ("2.jpg", "10.jpg", "1.jpg"):
        (tmp_path / name).touch()
    claims = list(Directory(str(tmp_path), fps=30, start_time_ms=5_000).claims())
    assert [claim.origin.event_time_ms for claim in claims] == [5_000, 5_033, 5_067]
    assert [claim.origin.name for claim in claims] == ["1.jpg", "2.jpg", "10.jpg"]


@pytest.mark.parametrize("fps", [0, -1, 1001])
def test_a_rate_that_cannot_be_is_refused(fps):
    with pytest.raises(PipelineError, match=rf"`fps` is in \(0, 1000\]; got {fps}"):
        Directory("photos", fps=fps)
