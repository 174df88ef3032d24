"""Faces are enrolled all at once, found again by whoever has the key, and forgotten for good."""

import base64
import importlib.util
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from sightflow.errors import GalleryError, OutputError, ShapeError
from sightflow.storage.galleryfile import (
    Enrolled,
    Forgotten,
    GalleryFacts,
    GalleryFile,
    GalleryFollower,
    NewFace,
)
from sightflow.storage.privatefolder import make_folder

_IS_REQUIRED = "encryption" in os.environ.get("SIGHTFLOW_REQUIRE", "").split(",")

needs_encryption = pytest.mark.skipif(
    importlib.util.find_spec("cryptography") is None and not _IS_REQUIRED,
    reason="cryptography is missing: pip install 'sightflow[encryption]'",
)

FACTS = GalleryFacts("mobilefacenet", "1", 4)
KEY = "A" * 43 + "="
"""A key of Fernet, from which none has to be made."""
ADA = np.array([0.6, 0.8, 0.0, 0.0], np.float32)
BOB = np.array([0.0, 0.0, 0.8, 0.6], np.float32)


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIGHTFLOW_GALLERY_KEY", raising=False)


@pytest.fixture
def gallery(tmp_path: Path) -> GalleryFile:
    return GalleryFile(tmp_path / "gallery")


def a_face(
    person_id: str = "Ada",
    embedding: npt.NDArray[np.float32] = ADA,
    uri: str = "",
    thumbnail: bytes | None = None,
) -> NewFace:
    return NewFace(person_id, embedding, uri or f"photos/{person_id}.jpg", thumbnail)


def log_of(gallery: GalleryFile) -> Path:
    return gallery.folder / "changes.jsonl"


def people_in(gallery: GalleryFile) -> list[str]:
    return [face.person_id for face in gallery.entries()]


def seen_by(follower: GalleryFollower) -> list[tuple[int, object]]:
    return [
        (change.number, change.person_id if isinstance(change, Enrolled) else len(change.keys))
        for change in follower.poll()
    ]


def all_bytes(gallery: GalleryFile) -> bytes:
    return b"\0".join(path.read_bytes() for path in sorted(gallery.folder.iterdir()))


def traces_of(face: NewFace) -> list[bytes]:
    raw = face.embedding.tobytes()
    texts = (face.person_id, face.uri)
    return [raw, base64.b64encode(raw), *(text.encode() for text in texts)]


# What is enrolled


def test_a_face_that_was_enrolled_is_there_with_all_that_was_said_of_it(gallery) -> None:
    assert not gallery.exists()
    gallery.enrol([a_face("Ada", ADA, "a.jpg", b"\xff\xd8\xff\xe0")], FACTS)
    (face,) = gallery.entries()
    assert (face.number, face.person_id, face.uri) == (1, "Ada", "a.jpg")
    assert face.thumbnail == b"\xff\xd8\xff\xe0"
    assert face.embedding.dtype == np.float32
    assert face.embedding.tolist() == ADA.tolist()
    assert face.added_ms > 1_700_000_000_000
    assert gallery.exists()
    assert gallery.facts() == FACTS


def test_each_face_has_a_number_and_a_key_of_its_own(gallery) -> None:
    assert gallery.enrol([a_face("Ada"), a_face("Bob")], FACTS) == 2
    assert gallery.enrol([a_face("Cleo")], FACTS) == 3
    faces = gallery.entries()
    assert [face.number for face in faces] == [1, 2, 3]
    assert len({face.key for face in faces}) == 3
    assert gallery.version() == 3


def test_a_key_says_nothing_of_the_person(tmp_path: Path) -> None:
    keys = set()
    for name in ("one", "two"):
        gallery = GalleryFile(tmp_path / name)
        gallery.enrol([a_face("Ada")], FACTS)
        keys.add(gallery.entries()[0].key)
    assert len(keys) == 2


def test_a_picture_that_is_there_is_not_added_again(gallery) -> None:
    gallery.enrol([a_face("Ada", ADA, "a.jpg")], FACTS)
    rounded = ADA + np.float32(1e-5)
    assert gallery.enrol([a_face("Ada", rounded, "a.jpg")], FACTS) == 1
    assert len(gallery.entries()) == 1


def test_a_picture_that_is_given_twice_is_added_once(gallery) -> None:
    assert gallery.enrol([a_face("Ada"), a_face("Ada"), a_face("Bob")], FACTS) == 2
    assert people_in(gallery) == ["Ada", "Bob"]


@pytest.mark.parametrize(
    "other",
    [
        a_face("Ada", ADA, "b.jpg"),
        a_face("Ada", BOB, "a.jpg"),
        a_face("Bob", ADA, "a.jpg"),
    ],
    ids=["another picture", "another face", "another person"],
)
def test_what_differs_is_added(gallery, other) -> None:
    gallery.enrol([a_face("Ada", ADA, "a.jpg")], FACTS)
    assert gallery.enrol([other], FACTS) == 2


def test_a_gallery_without_faces_can_be_made(gallery) -> None:
    assert gallery.enrol([], FACTS) == 0
    gallery.check()
    assert (gallery.entries(), gallery.version()) == ([], 0)


def test_another_model_is_refused_and_both_are_named(gallery) -> None:
    gallery.enrol([a_face()], FACTS)
    message = r"embeddings of mobilefacenet 1 \(4 numbers\); got some of arcface 2 \(4 numbers\); "
    with pytest.raises(GalleryError, match=message):
        gallery.enrol([a_face("Bob")], GalleryFacts("arcface", "2", 4))
    assert people_in(gallery) == ["Ada"]


def test_an_embedding_of_another_size_is_refused_before_anything_is_made(gallery) -> None:
    with pytest.raises(GalleryError, match="face 1 has 2 numbers; those of mobilefacenet have 4"):
        gallery.enrol([a_face(), a_face("Bob", np.array([0.6, 0.8], np.float32))], FACTS)
    assert not gallery.folder.exists()


# What a face must be


@pytest.mark.parametrize(
    ("embedding", "length"),
    [([1.0, 1.0], "1.41421"), ([0.0, 0.0], "0"), ([np.nan, 1.0], "nan"), ([np.inf, 0.0], "inf")],
)
def test_an_embedding_has_unit_length(embedding, length) -> None:
    with pytest.raises(GalleryError, match=f"its length is {length}; divide"):
        a_face(embedding=np.array(embedding, np.float32))


def test_an_embedding_is_one_row_of_float32() -> None:
    with pytest.raises(ShapeError, match=r"`embedding` must be float32 \[2\]; got float64 \[2\]"):
        a_face(embedding=np.array([0.6, 0.8]))
    with pytest.raises(ShapeError, match=r"got float32 \[1, 4\]"):
        a_face(embedding=ADA[None])


def test_a_thumbnail_is_a_jpeg() -> None:
    with pytest.raises(GalleryError, match=r"`thumbnail` is a JPEG; got bytes that .* b'\\x89PNG'"):
        a_face(thumbnail=b"\x89PNG\r\n")


@pytest.mark.parametrize(
    "person_id", ["", "  ", "\u200c", "a\nb", "a\x00b", "a\u2028b", "\udcff", "x" * 201]
)
def test_a_person_has_a_name_that_can_be_written_and_read(person_id) -> None:
    with pytest.raises(GalleryError, match="1 to 200 characters, and no control characters; got "):
        a_face(person_id)


def test_joiners_without_which_some_names_are_misspelt_are_taken() -> None:
    assert a_face("\u0645\u06cc\u200c\u0646\u0627").person_id == "\u0645\u06cc\u200c\u0646\u0627"


@pytest.mark.parametrize(
    ("typed", "name"),
    [("M\u00adller", "Mller"), ("\u200fAli ", "Ali"), ("ada\u200c", "ada"), ("a\u200bb", "ab")],
)
def test_what_is_not_seen_makes_no_other_person(typed, name) -> None:
    assert a_face(typed).person_id == name


@pytest.mark.parametrize("person_id", ["unknown", " Unknown ", "unknown\u200c", "un\u200cknown"])
def test_nobody_is_called_as_those_are_who_are_not_enrolled(person_id) -> None:
    with pytest.raises(GalleryError, match="is what those are called who are not enrolled"):
        a_face(person_id)


def test_messages_that_show_a_face_do_not_show_what_describes_it(gallery) -> None:
    gallery.enrol([a_face(thumbnail=b"\xff\xd8\xff")], FACTS)
    (entry,) = gallery.entries()
    for face in (a_face(thumbnail=b"\xff\xd8\xff"), entry):
        assert "0.6" not in repr(face)
        assert "xff" not in repr(face)


def test_one_picture_of_a_person_is_forgotten(gallery) -> None:
    gallery.enrol([a_face(uri="1.jpg"), a_face(uri="2.jpg", embedding=BOB)], FACTS)
    assert gallery.forget("Ada", uri="1.jpg") == 1

    assert [entry.uri for entry in gallery.entries()] == ["2.jpg"]
    assert b"1.jpg" not in log_of(gallery).read_bytes()


def test_who_was_enrolled_by_a_name_that_is_refused_now_is_forgotten(gallery) -> None:
    gallery.enrol([a_face("Xunknown"), a_face("Bob", BOB)], FACTS)
    log = log_of(gallery)
    log.write_bytes(log.read_bytes().replace(b"Xunknown", "\u200eUnknown".encode()))
    assert people_in(gallery) == ["\u200eUnknown", "Bob"]

    assert gallery.forget("Unknown") == 1
    assert people_in(gallery) == ["Bob"]


def test_a_picture_whose_name_is_no_utf_8_is_forgotten(gallery) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    gallery.enrol([a_face(uri=name), a_face(uri="2.jpg", embedding=BOB)], FACTS)
    assert gallery.forget("Ada", uri=name) == 1
    assert [entry.uri for entry in gallery.entries()] == ["2.jpg"]


def test_a_picture_that_nobody_was_enrolled_with_is_told(gallery) -> None:
    gallery.enrol([a_face(uri="photos/ada.jpg"), a_face("Bob", BOB, "bob.jpg")], FACTS)
    message = "'Ada' is not enrolled with photos/adda.jpg; did you mean 'photos/ada.jpg'?"
    with pytest.raises(GalleryError, match=message[:-1]):
        gallery.forget("Ada", uri="photos/adda.jpg")
    with pytest.raises(GalleryError, match="'Ada' is not enrolled with x; `faces list --pictures"):
        gallery.forget("Ada", uri="x")
    assert len(gallery.entries()) == 2


def test_a_name_is_one_name_however_it_was_typed(gallery) -> None:
    gallery.enrol([a_face(" Zoe\u0308 ", uri="z.jpg")], FACTS)
    assert people_in(gallery) == ["Zo\u00eb"]
    assert gallery.forget("Zoe\u0308") == 1


def test_the_longest_name_is_taken(gallery) -> None:
    gallery.enrol([a_face("x" * 200)], FACTS)
    assert people_in(gallery) == ["x" * 200]


def test_a_file_name_that_is_no_utf_8_is_written_as_in_results(gallery) -> None:
    gallery.enrol([a_face(uri="photos/\udcff.jpg")], FACTS)
    assert gallery.entries()[0].uri == r"photos/\xff.jpg"
    assert gallery.enrol([a_face(uri="photos/\udcff.jpg")], FACTS) == 1


# Who may read it


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


@pytest.fixture(params=[0o000, 0o077, 0o277], ids=oct)
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_umask")
def test_nobody_else_can_read_it_whatever_the_umask(gallery, monkeypatch) -> None:
    drafts = set()
    replace = os.replace

    def look_and_replace(source: Path, target: Path) -> None:
        drafts.add(mode(source))
        replace(source, target)

    monkeypatch.setattr("os.replace", look_and_replace)
    gallery.enrol([a_face("Ada"), a_face("Bob")], FACTS)
    gallery.forget("Bob")
    assert mode(gallery.folder) == "0o700"
    files = {path.name: mode(path) for path in gallery.folder.iterdir()}
    assert files == dict.fromkeys((".lock", "changes.jsonl", "gallery.json"), "0o600")
    assert drafts == {"0o600"}


def test_an_empty_folder_becomes_one_that_others_cannot_read(gallery) -> None:
    gallery.folder.mkdir()
    gallery.folder.chmod(0o755)
    gallery.enrol([a_face()], FACTS)
    assert mode(gallery.folder) == "0o700"


@pytest.mark.parametrize("permissions", [0o770, 0o702])
def test_a_folder_that_others_can_write_to_is_refused(gallery, permissions) -> None:
    gallery.folder.mkdir()
    gallery.folder.chmod(permissions)
    message = rf"others can write to it \(permissions 0{permissions:o}\); .*`chmod 700 "
    with pytest.raises(GalleryError, match=message):
        gallery.enrol([a_face()], FACTS)
    assert list(gallery.folder.iterdir()) == []

    gallery.folder.chmod(0o700)
    gallery.enrol([a_face()], FACTS)
    gallery.folder.chmod(permissions)
    for use in (gallery.check, gallery.facts, gallery.entries, lambda: gallery.forget("Ada")):
        with pytest.raises(GalleryError, match="others can write to it"):
            use()


def test_a_link_to_a_folder_that_others_can_write_to_is_refused(gallery, tmp_path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    gallery.folder.symlink_to(tmp_path / "open")
    with pytest.raises(GalleryError, match="others can write to it"):
        gallery.enrol([a_face()], FACTS)


def test_a_folder_with_other_files_is_refused_and_stays_as_it_is(gallery) -> None:
    gallery.folder.mkdir(0o755)
    (gallery.folder / "a.jpg").touch()
    with pytest.raises(GalleryError, match=r"has other files, such as a\.jpg; .* of its own"):
        gallery.enrol([a_face()], FACTS)
    assert [path.name for path in gallery.folder.iterdir()] == ["a.jpg"]


def test_a_file_is_no_gallery(gallery) -> None:
    gallery.folder.touch()
    with pytest.raises(GalleryError, match="is a file; a gallery is a folder"):
        gallery.enrol([a_face()], FACTS)
    with pytest.raises(GalleryError, match="no gallery is there"):
        gallery.check()


# What is forgotten


@pytest.mark.parametrize("key", [None, pytest.param(KEY, marks=needs_encryption)])
def test_nothing_of_a_forgotten_person_stays_in_any_file(gallery, monkeypatch, key) -> None:
    if key:
        monkeypatch.setenv("SIGHTFLOW_GALLERY_KEY", key)
    faces = [
        a_face("Zoë Q.", ADA, "photos/first.jpg", b"\xff\xd8\xff-her-face"),
        a_face("Bob", BOB),
        a_face("Zoë Q.", BOB, "photos/second.jpg"),
    ]
    gallery.enrol(faces, FACTS)
    before = log_of(gallery).read_bytes().splitlines()
    assert gallery.forget("Zoë Q.") == 2

    data = all_bytes(gallery)
    traces = {*traces_of(faces[0]), *traces_of(faces[2]), b"her-face", before[0], before[2]}
    traces -= set(traces_of(faces[1]))
    assert [trace for trace in traces if trace in data] == []
    assert before[1] in data
    assert people_in(gallery) == ["Bob"]
    assert gallery.version() == 4


def test_what_writers_that_died_have_left_of_a_person_is_removed(gallery) -> None:
    gallery.enrol([a_face("Bob")], FACTS)
    (gallery.folder / ".changes.jsonl.01234567.partial").write_text("Ada")
    with log_of(gallery).open("a") as log:
        log.write('{"person_id": "Ada"')
    with pytest.raises(GalleryError, match="nobody is enrolled as 'Ada'"):
        gallery.forget("Ada")
    assert b"Ada" not in all_bytes(gallery)
    assert people_in(gallery) == ["Bob"]


def test_nobody_is_forgotten_by_a_wrong_name_and_close_ones_are_told(gallery) -> None:
    gallery.enrol([a_face("Ada Lovelace"), a_face("Bob")], FACTS)
    with pytest.raises(GalleryError, match=r"as 'Ada Lovelase'; did you mean 'Ada Lovelace'\?$"):
        gallery.forget("Ada Lovelase")
    with pytest.raises(GalleryError, match=r"nobody is enrolled as 'Cleo'$"):
        gallery.forget("Cleo")
    assert gallery.version() == 2


def test_who_was_forgotten_can_be_enrolled_again(gallery) -> None:
    gallery.enrol([a_face("Ada"), a_face("Bob")], FACTS)
    gallery.forget("Bob")
    assert gallery.enrol([a_face("Bob")], FACTS) == 4
    assert [(face.number, face.person_id) for face in gallery.entries()] == [(1, "Ada"), (4, "Bob")]


def test_who_was_enrolled_together_with_a_forgotten_one_stays(gallery) -> None:
    gallery.enrol([a_face("Ada"), a_face("Bob"), a_face("Cleo")], FACTS)
    gallery.forget("Cleo")  # the last line of the three
    gallery.forget("Ada")
    assert people_in(gallery) == ["Bob"]


# Writers that die, and those that work at the same time


@pytest.mark.parametrize("n_bytes", [1, 60, -60, -1])
def test_an_enrolment_that_is_not_complete_is_none_and_goes_with_the_next_one(
    gallery, n_bytes
) -> None:
    gallery.enrol([a_face("Ada")], FACTS)
    start = log_of(gallery).stat().st_size
    gallery.enrol([a_face("Bob"), a_face("Cleo")], FACTS)
    end = log_of(gallery).stat().st_size
    os.truncate(log_of(gallery), (start if n_bytes > 0 else end) + n_bytes)

    follower = gallery.follow()
    assert (people_in(gallery), gallery.version()) == (["Ada"], 1)
    assert seen_by(follower) == [(1, "Ada")]
    assert gallery.enrol([a_face("Dora")], FACTS) == 2
    assert people_in(gallery) == ["Ada", "Dora"]
    assert seen_by(follower) == [(2, "Dora")]
    assert b"Bob" not in all_bytes(gallery)


def test_the_first_of_two_faces_is_not_there_without_the_second(gallery) -> None:
    gallery.enrol([a_face("Ada"), a_face("Bob")], FACTS)
    whole = log_of(gallery).read_bytes()
    log_of(gallery).write_bytes(whole.splitlines(keepends=True)[0])
    follower = gallery.follow()
    assert (gallery.entries(), follower.poll()) == ([], [])
    log_of(gallery).write_bytes(whole)
    assert seen_by(follower) == [(1, "Ada"), (2, "Bob")]


def test_a_full_disk_leaves_what_was_there(gallery, monkeypatch) -> None:
    gallery.enrol([a_face("Ada")], FACTS)
    before = all_bytes(gallery)
    write = os.pwrite

    def write_half(handle: int, data: bytes, place: int) -> int:
        if len(data) < 100:
            raise OSError(28, "No space left on device")
        return write(handle, data[: len(data) // 2], place)

    monkeypatch.setattr("os.pwrite", write_half)
    with pytest.raises(OutputError, match=r"changes\.jsonl: cannot be written: No space left"):
        gallery.enrol([a_face("Bob")], FACTS)
    assert all_bytes(gallery) == before


def test_two_processes_that_enrol_at_the_same_time_lose_nothing(gallery) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from sightflow.storage.galleryfile import GalleryFacts, GalleryFile, NewFace\n"
        "facts, one = GalleryFacts('m', '1', 2), np.array([0.6, 0.8], np.float32)\n"
        "for i in range(25):\n"
        "    face = NewFace(sys.argv[2], one, f'{i}.jpg')\n"
        "    GalleryFile(Path(sys.argv[1])).enrol([face], facts)\n"
    )
    command = [sys.executable, "-c", code, str(gallery.folder)]
    writers = [subprocess.Popen([*command, name]) for name in ("Ada", "Bob")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    faces = gallery.entries()
    assert [face.number for face in faces] == list(range(1, 51))
    assert sorted((face.person_id, face.uri) for face in faces) == sorted(
        (name, f"{i}.jpg") for name in ("Ada", "Bob") for i in range(25)
    )


def test_a_gallery_that_another_process_makes_meanwhile_is_taken(gallery, monkeypatch) -> None:
    place = "sightflow.storage.galleryfile.make_folder"

    def be_overtaken(folder: Path, names: tuple[str, ...]) -> None:
        monkeypatch.setattr(place, make_folder)
        GalleryFile(folder).enrol([a_face("Bob")], FACTS)

    monkeypatch.setattr(place, be_overtaken)
    assert gallery.enrol([a_face("Ada")], FACTS) == 2
    assert people_in(gallery) == ["Bob", "Ada"]


# Those that follow


def test_a_follower_sees_all_changes_in_order_each_once(gallery) -> None:
    gallery.enrol([a_face("Ada"), a_face("Bob")], FACTS)
    follower = gallery.follow()
    assert seen_by(follower) == [(1, "Ada"), (2, "Bob")]
    assert seen_by(follower) == []
    gallery.forget("Ada")
    assert seen_by(follower) == [(3, 1)]
    gallery.enrol([a_face("Ada")], FACTS)
    assert seen_by(follower) == [(4, "Ada")]
    gallery.forget("Bob")
    gallery.forget("Ada")
    gallery.enrol([a_face("Cleo")], FACTS)
    assert seen_by(follower) == [(5, 1), (6, 1), (7, "Cleo")]
    assert seen_by(follower) == []


def test_who_is_gone_is_told_by_the_key_that_was_told_before(gallery) -> None:
    gallery.enrol([a_face("Ada", ADA, "a.jpg"), a_face("Ada", ADA, "b.jpg")], FACTS)
    follower = gallery.follow()
    keys = tuple(face.key for face in follower.poll() if isinstance(face, Enrolled))
    gallery.forget("Ada")
    assert follower.poll() == [Forgotten(3, keys)]


def test_a_follower_begins_behind_a_change(gallery) -> None:
    gallery.enrol([a_face("Ada"), a_face("Bob")], FACTS)
    gallery.forget("Ada")
    assert seen_by(gallery.follow(1)) == [(2, "Bob"), (3, 1)]
    assert seen_by(gallery.follow(2)) == [(3, 1)]
    assert seen_by(gallery.follow(3)) == []


def test_a_follower_that_has_read_nothing_yet_does_not_see_who_was_forgotten(gallery) -> None:
    gallery.enrol([a_face("Ada")], FACTS)
    follower = gallery.follow()
    gallery.forget("Ada")
    assert seen_by(follower) == [(2, 1)]


def test_a_follower_reads_only_what_is_new(gallery) -> None:
    gallery.enrol([a_face("Ada"), a_face("Bob")], FACTS)
    follower = gallery.follow()
    follower.poll()
    gallery.enrol([a_face("Cleo")], FACTS)
    with log_of(gallery).open("r+b") as log:
        log.write(b"damaged")
    assert seen_by(follower) == [(3, "Cleo")]


def test_a_follower_reads_nothing_where_nothing_has_changed(gallery, monkeypatch) -> None:
    gallery.enrol([a_face("Ada")], FACTS)
    follower = gallery.follow()
    follower.poll()
    monkeypatch.setattr("builtins.open", lambda *_, **__: pytest.fail("a file was opened"))
    assert follower.poll() == []


def test_a_follower_does_not_go_on_with_another_gallery(gallery, tmp_path) -> None:
    gallery.enrol([a_face("Ada")], FACTS)
    follower = gallery.follow()
    follower.poll()
    gallery.folder.rename(tmp_path / "old")
    with pytest.raises(GalleryError, match="no gallery is there"):
        follower.poll()
    gallery.enrol([a_face("Bob"), a_face("Cleo")], FACTS)
    with pytest.raises(GalleryError, match=r"was made anew, after 1 were read: .* start the run"):
        follower.poll()
    with pytest.raises(GalleryError, match="has 2 changes, after 5 were read"):
        gallery.follow(5).poll()


# What cannot be read


def test_where_no_gallery_is_nothing_is_read_or_made(gallery) -> None:
    for use in (
        gallery.check,
        gallery.facts,
        gallery.version,
        gallery.entries,
        gallery.encrypt,
        gallery.follow().poll,
        lambda: gallery.forget("Ada"),
    ):
        with pytest.raises(GalleryError, match="no gallery is there; `sightflow faces enrol`"):
            use()
    assert not gallery.folder.exists()


def test_a_log_that_is_missing_is_told(gallery) -> None:
    gallery.enrol([a_face()], FACTS)
    log_of(gallery).unlink()
    with pytest.raises(GalleryError, match=r"changes\.jsonl is missing; restore it"):
        gallery.check()


def test_a_log_is_not_replaced_where_its_facts_are_missing(gallery) -> None:
    gallery.enrol([a_face()], FACTS)
    (gallery.folder / "gallery.json").unlink()
    with pytest.raises(GalleryError, match=r"changes\.jsonl: its gallery\.json is missing"):
        gallery.enrol([a_face("Bob")], FACTS)
    assert b"Ada" in log_of(gallery).read_bytes()


def test_an_enrolment_that_died_before_the_gallery_was_made_is_no_obstacle(gallery) -> None:
    gallery.folder.mkdir(0o700)
    for name in (".lock", "changes.jsonl", ".gallery.json.01234567.partial"):
        (gallery.folder / name).touch()
    gallery.enrol([a_face()], FACTS)
    assert people_in(gallery) == ["Ada"]
    assert len(list(gallery.folder.iterdir())) == 3


def test_a_file_that_cannot_be_read_is_told(gallery) -> None:
    gallery.enrol([a_face()], FACTS)
    log_of(gallery).unlink()
    log_of(gallery).mkdir()
    with pytest.raises(GalleryError, match="cannot be read: Is a directory"):
        gallery.entries()
