"""Paths get one short name each."""

import pytest

from sightflow.errors import SourceError
from sightflow.storage.naming import as_paths, short_names


@pytest.mark.parametrize("paths", ["a", ["a"], ("a",), iter(["a"])])
def test_one_path_or_many_are_a_tuple(paths: object) -> None:
    assert as_paths(paths) == ("a",)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["x/day/", "y/day"], ["day", "day-2"]),
        (["x/day-2", "x/day", "y/day"], ["day-2", "day", "day-3"]),
        (["x/day", "y/day", "z/day-2"], ["day", "day-2", "day-2-2"]),
        (["/"], ["root"]),
    ],
)
def test_short_names_are_the_last_parts_and_differ(paths: list[str], names: list[str]) -> None:
    assert [name for _, name in short_names(paths)] == names


@pytest.mark.parametrize(
    "paths", [("a", "b", "a"), ("a", "a/"), ("a", "./a"), ("s3://a", "s3://a")]
)
def test_a_path_that_is_named_twice_is_refused(paths: tuple[str, ...]) -> None:
    with pytest.raises(SourceError, match=f"{paths[-1]}: is named twice; name each path once"):
        as_paths(paths)
