"""Labels come from the names of folders, or from a table."""

from pathlib import Path

import pytest

from sightflow import Directory, Union
from sightflow.errors import SourceError
from sightflow.sources.labelled import Labelled
from sightflow.testing import draw_scene, encode_image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(encode_image(draw_scene(32, 24)))
    return tmp_path / "photos"


def labels(source: Labelled) -> list[str | None]:
    return [claim.origin.label for claim in source.claims()]


def test_the_label_of_an_image_is_the_name_of_its_folder(photos: Path) -> None:
    assert labels(Labelled(Directory(str(photos)))) == ["cat", "cat", "dog"]


def test_in_an_archive_as_well(photos: Path) -> None:
    import shutil

    shutil.make_archive(str(photos.parent / "photos"), "zip", photos)
    source = Labelled(Directory(str(photos.parent / "photos.zip")))
    assert labels(source) == ["cat", "cat", "dog"]


def test_a_table_tells_it_by_the_end_of_the_path(photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("id,file,kind\n1,cat/1.jpg,tom\n2,dog/1.jpg,rex\n")
    source = Labelled(
        Directory(str(photos)), table=str(table), path_column="file", label_column="kind"
    )
    assert labels(source) == ["tom", None, "rex"]


def test_the_longest_path_of_a_table_counts(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,label\n1.jpg,some\nphotos/dog/1.jpg,rex\n")
    assert labels(Labelled(Directory(str(photos)), table=str(tmp_path / "t.csv"))) == [
        "some",
        None,
        "rex",
    ]


def test_images_may_be_held_out(photos: Path) -> None:
    source = Labelled(Directory(str(photos)), held_out=True)
    assert all(claim.origin.held_out for claim in source.claims())


def test_sources_in_a_union_have_labels_of_their_own(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,label\n1.jpg,one\n")
    both = Union(
        (
            Labelled(Directory(str(photos / "cat"))),
            Labelled(Directory(str(photos / "dog")), table=str(tmp_path / "t.csv")),
        )
    )
    assert labels(both) == ["cat", "cat", "one"]


def test_rows_without_a_path_or_a_label_say_nothing(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("label,path\ntom,cat/1.jpg\n,cat/2.jpg\nrex\n")
    source = Labelled(Directory(str(photos)), table=str(tmp_path / "t.csv"))
    assert labels(source) == ["tom", None, None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,kind\n", r"needs the columns 'path' and 'label'; it has \['path', 'kind'\]"),
        ("", "needs the columns 'path' and 'label'; it has None"),
    ],
)
def test_a_table_without_its_columns_is_refused(
    photos: Path, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(SourceError, match=message):
        labels(Labelled(Directory(str(photos)), table=str(tmp_path / "t.csv")))


def test_a_table_that_is_not_there_is_refused(photos: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere\.csv: cannot be read as CSV"):
        labels(Labelled(Directory(str(photos)), table="nowhere.csv"))
