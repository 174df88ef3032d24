"""Kinds are found by the name of an entry point or by an import path."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from sightflow.errors import PipelineError
from sightflow.kinds import GROUPS, _entry_points, known_kinds, resolve_kind
from sightflow.sources.directory import Directory


def test_every_group_has_kinds() -> None:
    assert [group for group in GROUPS if not known_kinds(group)] == []


def test_every_registered_kind_can_be_imported() -> None:
    found = [resolve_kind(group, kind) for group in GROUPS for kind in known_kinds(group)]
    assert all(callable(kind) for kind in found)


def test_names_of_kinds_are_sorted() -> None:
    assert list(known_kinds("sources")) == sorted(known_kinds("sources"))


def test_a_kind_is_found_by_its_name_or_its_import_path() -> None:
    assert resolve_kind("sources", "Directory") is Directory
    assert resolve_kind("sources", "sightflow.sources.directory:Directory") is Directory


@pytest.mark.parametrize(
    ("group", "kind", "message"),
    [
        (
            "sources",
            "Nope",
            "no source is named 'Nope'; known: Annotated, Cameras, .*`package.module:Class`",
        ),
        ("heads", "Nope", "no head is named 'Nope'; known: BlazeFace, "),
        ("sinks", "no_such:Thing", "sink 'no_such:Thing' cannot be imported: No module named"),
        ("sinks", "json:Thing", "sink 'json:Thing' cannot be imported: .*no attribute 'Thing'"),
        ("sinks", "", "no sink is named ''"),
        ("sinks", ":Thing", "sink ':Thing' cannot be imported"),
        ("sinks", ".here:Thing", "sink '.here:Thing' cannot be imported"),
    ],
)
def test_a_kind_that_is_not_there_is_named(group: str, kind: str, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        resolve_kind(group, kind)


def test_a_module_that_cannot_be_loaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_written_plugin.py").write_text("import no_such_library")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PipelineError, match="cannot be imported: No module named 'no_such_lib"):
        resolve_kind("operators", "half_written_plugin:Step")
    assert "half_written_plugin" not in sys.modules


def test_a_name_of_ours_stays_ours_whoever_takes_it(monkeypatch) -> None:
    theirs = EntryPoint("Directory", "their_package:Directory", "sightflow.sources")
    ours = EntryPoint("Directory", "sightflow.sources.directory:Directory", "sightflow.sources")
    for points in ([ours, theirs], [theirs, ours]):
        _entry_points.cache_clear()
        monkeypatch.setattr("sightflow.kinds.entry_points", lambda group, p=points: p)
        assert resolve_kind("sources", "Directory") is Directory
    _entry_points.cache_clear()
