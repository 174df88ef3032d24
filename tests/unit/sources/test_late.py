"""Each image comes without its label, and again with it after so many more."""

from pathlib import Path

import pytest

from sightflow import Directory
from sightflow.errors import PipelineError, SourceError
from sightflow.sources.labelled import Labelled
from sightflow.sources.late import Late
from sightflow.sources.passes import Passes
from sightflow.testing import a_context, draw_scene, encode_image


def photos(tmp_path: Path, n: int) -> Labelled:
    for i in range(n):
        path = tmp_path / "cat" / f"{i}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode_image(draw_scene(32 + i, 24)))
    return Labelled(Directory(str(tmp_path)))


def listed(source: Late) -> list[tuple[str, str | None]]:
    return [(Path(c.origin.uri).stem, c.origin.label) for c in source.claims()]


def test_a_label_comes_after_so_many_more_images(tmp_path: Path) -> None:
    assert listed(Late(photos(tmp_path, 4), n_images=2)) == [
        ("0", None),
        ("1", None),
        ("2", None),
        ("0", "cat"),
        ("3", None),
        ("1", "cat"),
        ("2", "cat"),
        ("3", "cat"),
    ]


def test_without_a_delay_it_comes_at_once(tmp_path: Path) -> None:
    source = Late(photos(tmp_path, 2), n_images=0)
    assert listed(source) == [("0", None), ("0", "cat"), ("1", None), ("1", "cat")]


def test_an_image_says_that_its_label_will_come(tmp_path: Path) -> None:
    claims = list(Late(photos(tmp_path, 2), n_images=1).claims())
    assert [c.origin.awaits_label for c in claims] == [c.origin.label is None for c in claims]


def test_an_image_that_has_no_label_comes_once(tmp_path: Path) -> None:
    photos(tmp_path, 2)
    source = Late(Directory(str(tmp_path)), n_images=1)
    assert listed(source) == [("0", None), ("1", None)]
    assert not any(claim.origin.awaits_label for claim in source.claims())


def test_both_times_it_is_the_same_picture(tmp_path: Path) -> None:
    source = Late(photos(tmp_path, 1), n_images=1)
    read = source.open(a_context("read"))
    first, second = (image.data for claim in source.claims() for image in read(claim))
    assert first == second


def test_of_several_passes_each_has_its_own_labels(tmp_path: Path) -> None:
    passes = Passes(photos(tmp_path, 2), n_passes=2, seed=None)
    names = [c.origin.name.partition("/")[2] for c in Late(passes, n_images=3).claims()]
    pictures = [f"pass-{number}/cat/{i}.jpg" for number in range(2) for i in range(2)]
    assert sorted(names) == sorted(2 * pictures)


def test_passes_around_it_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="labels would come before their images; put Late around"):
        list(Passes(Late(photos(tmp_path, 2), n_images=1)).claims())


def test_a_negative_delay_is_refused() -> None:
    with pytest.raises(PipelineError, match="Late: `n_images` is a count, from 0; got -1"):
        Late(Directory("a"), n_images=-1)
