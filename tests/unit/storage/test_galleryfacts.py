"""A gallery says which model its embeddings are of, and which form its files have."""

from pathlib import Path

import pytest

from sightflow.errors import GalleryError
from sightflow.storage.galleryfacts import About, GalleryFacts, read_about, write_about

ABOUT = About.of(GalleryFacts("mobilefacenet", "1", 192), None)


def test_what_is_said_of_a_gallery_is_read_again(tmp_path: Path) -> None:
    write_about(tmp_path, ABOUT)
    assert read_about(tmp_path) == ABOUT
    assert read_about(tmp_path).facts() == GalleryFacts("mobilefacenet", "1", 192)


def test_a_form_that_is_not_known_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gallery.json").write_text('{"version": 2}')
    with pytest.raises(GalleryError, match="is of version 2; this Sightflow reads version 1"):
        read_about(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', '{"version": "1"}', "\udcff"])
def test_a_damaged_file_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "gallery.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(GalleryError, match=r"gallery\.json: is damaged: .*; restore the file"):
        read_about(tmp_path)
