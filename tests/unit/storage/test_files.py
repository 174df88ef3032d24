"""One opener reads every file that a URI can name: on this machine, elsewhere, inside of others."""

import os
import tarfile
import zipfile
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from sightflow.storage.files import MAX_OPEN_ARCHIVES, Reader, can_be_opened, list_files

UNFINISHED = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""For storages of fsspec that cannot let go what they never had."""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder with `a.jpg`, an archive of it, and an archive of that."""
    (tmp_path / "a.jpg").write_bytes(b"picture")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.write(tmp_path / "a.jpg", "day/a.jpg")
    with tarfile.open(tmp_path / "all.tar", "w") as outer:
        outer.add(tmp_path / "photos.zip", "photos.zip")
    fsspec.filesystem("memory").pipe("/test-files/a.jpg", b"picture")
    return tmp_path


@pytest.mark.parametrize(
    "uri",
    [
        "{}/a.jpg",
        "file://{}/a.jpg",
        "local://{}/a.jpg",
        "memory://test-files/a.jpg",
        "zip://day/a.jpg::{}/photos.zip",
        "zip://day/a.jpg::file://{}/photos.zip",
        "zip://day/a.jpg::tar://photos.zip::{}/all.tar",
        "simplecache::memory://test-files/a.jpg",
        "simplecache://::memory://test-files/a.jpg",
        "simplecache::zip://day/a.jpg::{}/photos.zip",
        "zip://day/a.jpg::simplecache::file://{}/photos.zip",
        "dir://a.jpg::{}",
    ],
)
def test_a_file_is_read_by_its_uri(photos: Path, uri: str) -> None:
    uri = uri.format(photos)
    assert can_be_opened(uri)
    assert (Reader().read(uri), Reader().read_all(uri)) == (b"picture", b"picture")


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("zip://**/*.jpg::tar://photos.zip::{}/all.tar",) * 2,
        ("simplecache::zip://**/*.jpg::{}/photos.zip",) * 2,
        ("simplecache::memory://test-files", "simplecache::memory:///test-files/a.jpg"),
        ("dir://a.*::{}", "dir://a.jpg::{}"),
    ],
)
def test_what_a_chain_lists_is_read_back(photos: Path, path: str, uri: str) -> None:
    (file,) = list_files(path.format(photos))
    assert file.uri == uri.replace("**/*", "day/a").format(photos)
    assert Reader().read(file.uri) == b"picture"


@pytest.mark.parametrize("path", ["~", "~/*.jpg", "~/a.jpg", "~/photos.zip"])
def test_a_tilde_is_the_home_folder(
    photos: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("HOME", str(photos))
    (file,) = list_files(path, pattern="*.jpg")
    assert Reader().read(file.uri) == b"picture"
    assert Reader().read("~/a.jpg") == b"picture"


@pytest.mark.parametrize("name", ["data", "file", "zip"])
def test_a_file_of_an_archive_may_be_named_as_a_storage_is(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr(name, "picture")
    (file,) = list_files(str(tmp_path / "photos.zip"))
    assert Reader().read(file.uri) == b"picture"


class Web(MemoryFileSystem):
    """A storage whose keys are whole URLs, as those of HTTP, and which needs to know its host."""

    protocol = "test-web"
    cachable = False

    def __init__(self, host: str, **options: object) -> None:
        super().__init__(**options)
        self.host = host

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, str]:
        return {"host": path.split("/")[2]}

    def _open(self, path: str, *_: object, **__: object) -> object:
        assert path == f"test-web://{self.host}/a.jpg"
        return fsspec.filesystem("memory").open("/test-files/a.jpg")


def test_a_storage_learns_its_host_from_the_url(photos: Path) -> None:
    fsspec.register_implementation("test-web", Web, clobber=True)
    assert Reader().read("test-web://camera/a.jpg") == b"picture"


@pytest.mark.parametrize("uri", ["{}/b.jpg", "zip://b.jpg::{}/photos.zip", "zip://a.jpg::{}/b.zip"])
def test_a_file_that_is_not_there_is_told_as_such(photos: Path, uri: str) -> None:
    with pytest.raises(FileNotFoundError):
        Reader().read(uri.format(photos))


def test_a_member_that_only_the_archive_misses_is_not_there(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise KeyError("There is no item named 'day/a.jpg' in the archive")

    monkeypatch.setattr("fsspec.implementations.zip.ZipFileSystem._open", missing)
    with pytest.raises(FileNotFoundError, match=r"archive: There is no item named"):
        Reader().read(f"zip://day/a.jpg::{photos}/photos.zip")


def test_a_pipe_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="a pipe, socket or device, not a file"):
        Reader().read_all(str(tmp_path / "pipe"))


@pytest.mark.parametrize("uri", ["rtsp://camera/1", "kafka://topic/1", "simplecache::rtsp://x"])
def test_what_is_sent_has_no_file(uri: str) -> None:
    assert not can_be_opened(uri)


@pytest.mark.parametrize(
    "uri",
    [
        pytest.param("ftp://", marks=UNFINISHED),
        "github://a",
        "reference://x",
        "generic://x",
        "jupyter://h/x",
        "dbfs://x",
        "dir://x",
        "nosuch://x",
        "s3://b/k",
        "a\0b",
        "\udcff.jpg",
    ],
)
def test_whatever_a_storage_raises_is_an_error_of_input_and_output(uri: str, monkeypatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    reader = Reader()
    for way in (reader.read, reader.read_all, reader.open):
        with pytest.raises(OSError, match=r"\S"):
            way(uri)


def test_an_error_that_is_strange_to_storages_is_told_by_its_kind(monkeypatch) -> None:
    def broken(*args: object, **options: object) -> None:
        raise AttributeError("no attribute 'fs'")

    monkeypatch.setattr(MemoryFileSystem, "open", broken)
    with pytest.raises(OSError, match=r"AttributeError: no attribute 'fs'"):
        Reader().read("memory://test-files/a.jpg")


@pytest.mark.parametrize("kind", ["zip", "tar", "zip in tar"])
def test_of_many_archives_only_the_last_few_stay_open(kind: str, tmp_path: Path) -> None:
    reader = Reader()
    before = len(os.listdir("/proc/self/fd"))
    uris = [an_archive(kind, tmp_path, n) for n in range(3 * MAX_OPEN_ARCHIVES)]
    for uri in [*uris, *uris]:
        assert reader.read(uri) == b"picture"
    assert len(os.listdir("/proc/self/fd")) - before <= MAX_OPEN_ARCHIVES


def test_the_archive_that_was_read_last_stays_open(tmp_path: Path) -> None:
    reader = Reader()
    first = an_archive("zip", tmp_path, 0)
    with reader.open(first) as file:
        for n in range(1, 2 * MAX_OPEN_ARCHIVES):
            reader.read(an_archive("zip", tmp_path, n))
            reader.read(first)
        assert file.read() == b"picture"


def an_archive(kind: str, folder: Path, number: int) -> str:
    """Make an archive with a picture; return the URI of that."""
    (folder / "a.jpg").write_bytes(b"picture")
    zipped, tarred = folder / f"{number}.zip", folder / f"{number}.tar"
    with zipfile.ZipFile(zipped, "w") as inner:
        inner.write(folder / "a.jpg", "a.jpg")
    with tarfile.open(tarred, "w") as outer:
        outer.add(folder / "a.jpg" if kind == "tar" else zipped, "a.jpg" if kind == "tar" else "z")
    return {
        "zip": f"zip://a.jpg::{zipped}",
        "tar": f"tar://a.jpg::{tarred}",
        "zip in tar": f"zip://a.jpg::tar://z::{tarred}",
    }[kind]
