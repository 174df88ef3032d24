"""Each image comes without its label, which is told after so many more."""

from pathlib import Path

import pytest

from sightflow import Directory, Union
from sightflow.errors import PipelineError, SourceError
from sightflow.records import Label
from sightflow.sources.labelled import Labelled
from sightflow.sources.late import Late
from sightflow.sources.passes import Passes
from sightflow.testing import draw_scene, encode_image


def photos(tmp_path: Path, n: int) -> Labelled:
    for i in range(n):
        path = tmp_path / "cat" / f"{i}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode_image(draw_scene(32 + i, 24)))
    return Labelled(Directory(str(tmp_path)))


def listed(source: Late) -> list[tuple[int, list[int]]]:
    """Return the images by their number, each with those whose label is told beside it."""
    return [(c.origin.sequence, [label.sequence for label in c.labels]) for c in source.claims()]


def test_a_label_is_told_after_so_many_more_images_and_the_rest_at_the_end(tmp_path: Path) -> None:
    source = Late(photos(tmp_path, 4), n_images=2)
    assert listed(source) == [(0, []), (1, []), (2, [0]), (3, [1, 2, 3])]


def test_without_a_delay_it_is_told_beside_its_image(tmp_path: Path) -> None:
    assert listed(Late(photos(tmp_path, 2), n_images=0)) == [(0, [0]), (1, [1])]


def test_a_label_says_of_which_image_it_is(tmp_path: Path) -> None:
    (claim,) = Late(photos(tmp_path, 1), n_images=5).claims()
    assert claim.labels == (Label(claim.origin.source_id, 0, "cat"),)
    assert claim.origin.label is None
    assert claim.origin.awaits_label


def test_an_image_that_has_no_label_waits_for_none(tmp_path: Path) -> None:
    photos(tmp_path, 2)
    source = Late(Directory(str(tmp_path)), n_images=0)
    assert listed(source) == [(0, []), (1, [])]
    assert not any(claim.origin.awaits_label for claim in source.claims())


def test_of_several_passes_each_has_its_own_labels(tmp_path: Path) -> None:
    source = Late(Passes(photos(tmp_path, 2), n_passes=2, seed=None), n_images=3)
    assert listed(source) == [(0, []), (1, []), (2, []), (3, [0, 1, 2, 3])]


def test_passes_around_it_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="labels would come before their images; put Late around"):
        list(Passes(Late(photos(tmp_path, 2), n_images=1)).claims())


def test_a_negative_delay_is_refused() -> None:
    with pytest.raises(PipelineError, match="Late: `n_images` is a whole number from 0; got -1"):
        Late(Directory("a"), n_images=-1)


def test_images_of_two_sources_that_number_alike_are_told_apart(tmp_path: Path) -> None:
    first, second = photos(tmp_path, 2), photos(tmp_path, 2)
    claims = list(Late(Union((first, second)), n_images=9).claims())
    assert [claim.origin.sequence for claim in claims] == [0, 1, 2, 3]
    assert [label.sequence for label in claims[-1].labels] == [0, 1, 2, 3]


def test_labels_around_it_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="its label comes later; put Late around Labelled"):
        list(Labelled(Late(photos(tmp_path, 2), n_images=1)).claims())
