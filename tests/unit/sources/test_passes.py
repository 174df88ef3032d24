"""Passes over the same images, each in another order, and tests between them."""

from pathlib import Path

import pytest

from sightflow import Directory
from sightflow.errors import PipelineError, SourceError
from sightflow.sources.labelled import Labelled
from sightflow.sources.passes import Passes
from sightflow.testing import a_context, draw_scene, encode_image


def folder(path: Path, n_images: int) -> Directory:
    path.mkdir(parents=True)
    for i in range(n_images):
        (path / f"{i}.jpg").write_bytes(encode_image(draw_scene(32 + i, 24)))
    return Directory(str(path))


def names(source: Passes) -> list[str]:
    return [claim.origin.name for claim in source.claims()]


def test_each_pass_has_every_image_in_another_order(tmp_path: Path) -> None:
    source = Passes(folder(tmp_path / "a", 20), n_passes=3)
    listed = names(source)
    passes = [[name.split("/")[1] for name in listed[i : i + 20]] for i in (0, 20, 40)]
    assert len(listed) == 60
    assert all(sorted(one) == sorted(passes[0]) for one in passes)
    assert passes[0] != passes[1] != passes[2] != passes[0]
    assert names(source) == listed, "the same each time"


def test_without_a_seed_the_order_is_that_of_the_source(tmp_path: Path) -> None:
    source = Passes(folder(tmp_path / "a", 3), n_passes=2, seed=None)
    first = ["pass-0/0.jpg", "pass-0/1.jpg", "pass-0/2.jpg"]
    assert names(source) == [*first, "pass-1/0.jpg", "pass-1/1.jpg", "pass-1/2.jpg"]


def test_tests_come_between_the_passes_and_after_the_last(tmp_path: Path) -> None:
    train, test = folder(tmp_path / "a", 1), folder(tmp_path / "b", 2)
    source = Passes(train, test, n_passes=3, test_every=2)
    assert [name.split("/")[0] for name in names(source)] == [
        *["pass-0", "pass-1"],
        *["test-1", "test-1"],
        *["pass-2", "test-2", "test-2"],
    ]
    held_out = [claim.origin.held_out for claim in source.claims()]
    assert held_out == [False, False, True, True, False, True, True]


def test_there_is_one_test_at_the_end_where_nothing_else_is_said(tmp_path: Path) -> None:
    source = Passes(folder(tmp_path / "a", 1), folder(tmp_path / "b", 1), n_passes=2)
    assert [name.split("/")[0] for name in names(source)] == ["pass-0", "pass-1", "test-1"]


def test_labels_of_the_parts_stay(tmp_path: Path) -> None:
    source = Passes(Labelled(folder(tmp_path / "cat", 2)), folder(tmp_path / "b", 1))
    assert [claim.origin.label for claim in source.claims()] == ["cat", "cat", None]


def test_an_image_is_read_where_it_is(tmp_path: Path) -> None:
    source = Passes(folder(tmp_path / "a", 2), folder(tmp_path / "b", 1))
    read = source.open(a_context("read"))
    found = [image.data for claim in source.claims() for image in read(claim)]
    assert found == [Path(claim.origin.uri).read_bytes() for claim in source.claims()]


def held_out(source: Passes) -> set[str]:
    return {
        f"{claim.origin.label}/{Path(claim.origin.uri).name}"
        for claim in source.claims()
        if claim.origin.held_out
    }


def test_a_part_can_be_held_out(tmp_path: Path) -> None:
    folder(tmp_path / "cat", 60)
    folder(tmp_path / "dog", 60)
    listed = list(Passes(Labelled(Directory(str(tmp_path))), hold_out=0.25, n_passes=2).claims())
    tests = {c.origin.uri for c in listed if c.origin.held_out}
    learned = {c.origin.uri for c in listed if not c.origin.held_out}
    assert 15 <= len(tests) <= 45
    assert not learned & tests
    assert len(listed) == 2 * len(learned) + len(tests)


def test_what_is_held_out_stays_so_when_images_are_added_or_the_folder_has_another_name(
    tmp_path: Path,
) -> None:
    folder(tmp_path / "photos" / "cat", 40)
    inside = Passes(Labelled(Directory(str(tmp_path / "photos"))), hold_out=0.3)
    before = held_out(inside)
    assert held_out(Passes(Labelled(Directory(str(tmp_path))), hold_out=0.3)) == before
    folder(tmp_path / "photos" / "dog", 20)
    assert {name for name in held_out(inside) if name.startswith("cat/")} == before


def test_a_share_beside_a_test_is_refused() -> None:
    with pytest.raises(PipelineError, match=r"`hold_out` is 0 where there is `test`; got 0\.5"):
        Passes(Directory("a"), Directory("b"), hold_out=0.5)


@pytest.mark.parametrize("options", [{"n_passes": 0}, {"test_every": 0}])
def test_what_is_no_count_is_refused(options: dict) -> None:
    with pytest.raises(PipelineError, match=r"Passes: `\w+` is a whole number from 1; got 0"):
        Passes(Directory("a"), **options)


def test_videos_are_refused(tmp_path: Path) -> None:
    from tests.pictures import draw_video

    from sightflow import Video

    draw_video(tmp_path / "clip.mp4", 5)
    with pytest.raises(SourceError, match=r"clip\.mp4: Passes takes pictures; this is a part of"):
        names(Passes(Video(str(tmp_path / "clip.mp4"))))
