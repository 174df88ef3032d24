"""Lines of a log are what they were, or it is told which one is damaged."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from sightflow.errors import GalleryError
from sightflow.storage.gallerykey import cipher_of
from sightflow.storage.gallerylog import Forgotten, GalleryLog, NewFace

ONE = np.array([0.6, 0.8], np.float32)
FACE = NewFace("Ada", ONE, "a.jpg")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> GalleryLog:
    monkeypatch.delenv("SIGHTFLOW_GALLERY_KEY", raising=False)
    return GalleryLog(Path("changes.jsonl"), 2, cipher_of(None, "gallery"))


def test_a_line_of_a_face_has_all_of_it(log: GalleryLog) -> None:
    line = json.loads(log.enrolled([FACE], after=6))
    assert len(line.pop("key")) == 16
    assert line.pop("added_ms") > 0
    assert line == {
        "change": "enrolled",
        "number": 7,
        "until": 7,
        "person_id": "Ada",
        "embedding": "mpkZP83MTD8=",  # 0x3f19999a, 0x3f4ccccd, little-endian
        "uri": "a.jpg",
    }


def test_a_line_of_those_who_are_gone_has_their_keys_only(log: GalleryLog) -> None:
    line = json.loads(log.forgotten(Forgotten(8, ("01", "02"))))
    assert line == {"change": "forgotten", "number": 8, "forgot": ["01", "02"]}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"number":3', '"number":2', "its number is 2, behind 2"),
        ("mpkZP83MTD8=", "mpkZPw==", "its embedding has not 2 numbers of unit length"),
        ("mpkZP83MTD8=", "mpkZP83MTD8AAAAA", "its embedding has not 2 numbers of unit length"),
        ("mpkZP83MTD8=", "mpkZP83MTD", "base64"),
        ("mpkZP83MTD8=", "AACAPwAAgD8=", "of unit length"),
        ('"change":"enrolled"', '"change":"renamed"', "renamed"),
        ('"uri":"a.jpg"', '"url":"a.jpg"', "missing required field `uri`"),
        ("{", "x", "malformed"),
    ],
)
def test_a_damaged_line_is_told_with_its_place(log, old, new, message) -> None:
    first = log.enrolled([FACE, FACE], after=0)
    second = log.enrolled([FACE], after=2).replace(old.encode(), new.encode(), 1)
    with pytest.raises(GalleryError, match=r"changes\.jsonl: the line at byte \d+ is") as caught:
        list(log.lines(io.BytesIO(first + second)))
    assert f"byte {len(first)} is damaged: " in str(caught.value)
    assert message in str(caught.value)
    assert str(caught.value).endswith("; restore the file")
