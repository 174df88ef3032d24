"""Several sources are read one after the other, each by its own reader."""

from pathlib import Path

from sightflow.records import EncodedImage
from sightflow.sources.directory import Directory
from sightflow.sources.union import Union
from sightflow.testing import a_context, check_source


def folder(path: Path, *names: str) -> Directory:
    path.mkdir()
    for name in names:
        (path / name).write_bytes(f"{path.name}/{name}".encode())
    return Directory(str(path))


def redeem(source: Union) -> list[bytes]:
    read = source.open(a_context("read"))
    images = [image for claim in source.claims() for image in read(claim)]
    return [image.data for image in images if isinstance(image, EncodedImage)]


def test_images_come_in_the_order_of_the_sources(tmp_path: Path) -> None:
    first, second = folder(tmp_path / "z", "1", "2"), folder(tmp_path / "a", "3")
    assert redeem(Union((first, second))) == [b"z/1", b"z/2", b"a/3"]


def test_claims_say_which_source_they_belong_to(tmp_path: Path) -> None:
    first, second = folder(tmp_path / "z", "1", "2"), folder(tmp_path / "a", "3")
    claims = list(Union((first, second)).claims())
    assert [claim.source for claim in claims] == [(0,), (0,), (1,)]
    assert [claim.origin.uri for claim in claims] == [
        claim.origin.uri for claim in (*first.claims(), *second.claims())
    ]
    assert [claim.origin.name for claim in claims] == ["0/1", "0/2", "1/3"]


def test_unions_may_be_united(tmp_path: Path) -> None:
    parts = [folder(tmp_path / name, name) for name in "abc"]
    source = Union((Union((parts[0], parts[1])), parts[2]))
    assert redeem(source) == [b"a/a", b"b/b", b"c/c"]
    assert [claim.source for claim in source.claims()] == [(0, 0), (0, 1), (1,)]


def test_a_union_of_nothing_has_no_images() -> None:
    assert list(Union(()).claims()) == []


def test_names_stay_unique_when_sources_use_the_same_ones(tmp_path: Path) -> None:
    source = Union((folder(tmp_path / "x", "1.jpg"), folder(tmp_path / "y", "1.jpg")))
    assert len(check_source(source)) == 2
