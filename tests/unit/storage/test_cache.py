"""What can be made anew lies in one folder of the user."""

from pathlib import Path

import pytest

from sightflow.storage.cache import cache_folder


@pytest.mark.parametrize(
    ("xdg", "folder"), [("/fast", "/fast/sightflow"), ("", "/home/me/.cache/sightflow")]
)
def test_the_folder_is_where_the_user_wants_it(
    monkeypatch: pytest.MonkeyPatch, xdg: str, folder: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CACHE_HOME", xdg)
    assert cache_folder() == Path(folder)
