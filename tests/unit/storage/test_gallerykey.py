"""Without the key of a gallery nobody can read it, and with another one it is told."""

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from sightflow.errors import GalleryError, SetupError
from sightflow.storage.galleryfile import Enrolled, GalleryFacts, GalleryFile, NewFace

_IS_REQUIRED = "encryption" in os.environ.get("SIGHTFLOW_REQUIRE", "").split(",")

needs_encryption = pytest.mark.skipif(
    importlib.util.find_spec("cryptography") is None and not _IS_REQUIRED,
    reason="cryptography is missing: pip install 'sightflow[encryption]'",
)

VARIABLE = "SIGHTFLOW_GALLERY_KEY"
KEY = "A" * 43 + "="
"""A key of Fernet, from which none has to be made."""
OTHER_KEY = "B" * 42 + "A="
FACTS = GalleryFacts("mobilefacenet", "1", 2)
ADA = NewFace("Ada Lovelace", np.array([0.6, 0.8], np.float32), "photos/ada.jpg")
BOB = NewFace("Bob", np.array([0.8, 0.6], np.float32), "photos/bob.jpg")


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def gallery(tmp_path: Path) -> GalleryFile:
    return GalleryFile(tmp_path / "gallery")


def people_in(gallery: GalleryFile) -> list[str]:
    return [face.person_id for face in gallery.entries()]


def all_bytes(gallery: GalleryFile) -> bytes:
    return b"\0".join(path.read_bytes() for path in sorted(gallery.folder.iterdir()))


@needs_encryption
@pytest.mark.parametrize("key", [KEY, "correct horse", "A" * 43, "ключ \udcff"])
def test_any_passphrase_is_a_key_and_hides_all_but_the_model(gallery, monkeypatch, key) -> None:
    monkeypatch.setenv(VARIABLE, key)
    gallery.enrol([ADA], FACTS)
    gallery.enrol([BOB], FACTS)
    data = all_bytes(gallery)
    assert [
        word for word in (b"Lovelace", b"ada.jpg", b"embedding", b"person_id") if word in data
    ] == []
    assert b"mobilefacenet" in data
    assert key.encode("utf-8", "surrogateescape") not in data
    assert people_in(gallery) == ["Ada Lovelace", "Bob"]
    gallery.check()


@needs_encryption
def test_a_line_is_added_without_writing_the_others_anew(gallery, monkeypatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    log = gallery.folder / "changes.jsonl"
    gallery.enrol([ADA], FACTS)
    before = (log.stat().st_ino, log.read_bytes())
    gallery.enrol([BOB], FACTS)
    assert log.stat().st_ino == before[0]
    assert log.read_bytes().startswith(before[1])


@needs_encryption
def test_the_same_passphrase_makes_another_key_for_each_gallery(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv(VARIABLE, "correct horse")
    one, two = GalleryFile(tmp_path / "one"), GalleryFile(tmp_path / "two")
    one.enrol([ADA], FACTS)
    two.enrol([ADA], FACTS)
    (two.folder / "changes.jsonl").write_bytes((one.folder / "changes.jsonl").read_bytes())
    with pytest.raises(GalleryError, match="byte 0 is damaged: it cannot be decrypted; restore"):
        two.entries()


@needs_encryption
@pytest.mark.parametrize("wrong", [OTHER_KEY, "correct horse", "A" * 43])
def test_a_wrong_key_is_told_before_anything_is_changed(gallery, monkeypatch, wrong) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    gallery.enrol([ADA], FACTS)
    before = all_bytes(gallery)
    monkeypatch.setenv(VARIABLE, wrong)
    for use in (
        gallery.check,
        gallery.entries,
        gallery.encrypt,
        gallery.follow().poll,
        lambda: gallery.enrol([BOB], FACTS),
        lambda: gallery.forget("Ada Lovelace"),
    ):
        with pytest.raises(GalleryError, match=f"{VARIABLE} is not the key with which this"):
            use()
    assert all_bytes(gallery) == before


@needs_encryption
def test_a_wrong_passphrase_is_told(gallery, monkeypatch) -> None:
    monkeypatch.setenv(VARIABLE, "correct horse")
    gallery.enrol([ADA], FACTS)
    monkeypatch.setenv(VARIABLE, "battery staple")
    with pytest.raises(GalleryError, match="is not the key with which this gallery was encrypted"):
        gallery.check()


@needs_encryption
def test_without_its_key_an_encrypted_gallery_says_only_its_model(gallery, monkeypatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    gallery.enrol([ADA], FACTS)
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(GalleryError, match=f"gallery: is encrypted; set {VARIABLE} to its key"):
        gallery.check()
    assert gallery.facts() == FACTS


def test_a_gallery_does_not_stay_readable_where_a_key_is_set(gallery, monkeypatch) -> None:
    gallery.enrol([ADA], FACTS)
    monkeypatch.setenv(VARIABLE, KEY)
    message = (
        rf"is not encrypted, and {VARIABLE} is set; encrypt it, `sightflow faces encrypt .*`, or"
    )
    for use in (gallery.check, gallery.entries, lambda: gallery.enrol([BOB], FACTS)):
        with pytest.raises(GalleryError, match=message):
            use()


def test_a_key_that_is_empty_makes_no_readable_gallery(gallery, monkeypatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    with pytest.raises(GalleryError, match=f"{VARIABLE}: is set, but empty; set it to the key"):
        gallery.enrol([ADA], FACTS)
    assert not gallery.folder.exists()


def test_a_missing_library_is_told_with_what_installs_it(gallery, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    monkeypatch.setenv(VARIABLE, KEY)
    with pytest.raises(SetupError, match=r"`pip install 'sightflow\[encryption\]'`"):
        gallery.enrol([ADA], FACTS)
    assert not gallery.folder.exists()


@needs_encryption
def test_a_gallery_can_be_encrypted_later_and_who_follows_it_goes_on(gallery, monkeypatch) -> None:
    gallery.enrol([ADA, BOB], FACTS)
    gallery.forget("Bob")
    follower = gallery.follow()
    assert len(follower.poll()) == 2

    monkeypatch.setenv(VARIABLE, KEY)
    gallery.encrypt()
    data = all_bytes(gallery)
    assert b"Lovelace" not in data
    assert b"enrolled" not in data
    assert people_in(gallery) == ["Ada Lovelace"]
    assert follower.poll() == []
    gallery.enrol([BOB], FACTS)
    (change,) = follower.poll()
    assert isinstance(change, Enrolled)
    assert (change.number, change.person_id) == (4, "Bob")
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(GalleryError, match="is encrypted; set"):
        gallery.check()


@needs_encryption
def test_encrypting_that_was_interrupted_is_done_again(gallery, monkeypatch) -> None:
    gallery.enrol([ADA], FACTS)
    monkeypatch.setenv(VARIABLE, KEY)
    replace = os.replace

    def die_at_the_log(source: Path, target: Path) -> None:
        if target.name == "changes.jsonl":
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", die_at_the_log)
        with pytest.raises(KeyboardInterrupt):
            gallery.encrypt()
    with pytest.raises(GalleryError, match="is not all encrypted yet; call `sightflow faces"):
        gallery.entries()
    gallery.encrypt()
    gallery.encrypt()
    assert people_in(gallery) == ["Ada Lovelace"]
    assert b"Lovelace" not in all_bytes(gallery)


def test_nothing_is_encrypted_without_a_key(gallery) -> None:
    gallery.enrol([ADA], FACTS)
    with pytest.raises(GalleryError, match=f"gallery: set {VARIABLE} to encrypt it"):
        gallery.encrypt()
    assert people_in(gallery) == ["Ada Lovelace"]
