"""The commands about faces, in this process, on real pictures."""

import csv
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.faces import copy_people, orl_faces

from sightflow.cli import cli
from sightflow.errors import GalleryError, PipelineError, SourceError

PEOPLE = {"ann": 1, "bob": 2}


def call(*words: object, **more: object) -> Result:
    result = CliRunner().invoke(cli, ["faces", *map(str, words)], **more)  # type: ignore[arg-type]
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def a_face(person: int, number: int) -> Path:
    (picture,) = orl_faces(person, [number])
    return picture


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a gallery of two people; who changes it makes one of his own."""
    folder = tmp_path_factory.mktemp("gallery")
    enrol(folder / "gallery", copy_people(folder / "people", PEOPLE, [1, 2]))
    return folder / "gallery"


def enrol(gallery: Path, people: Path, *words: str) -> Result:
    result = call("enrol", gallery, people, "--runner", "inline", *words)
    assert result.exit_code == 0, result.output
    return result


def _track_of(options: dict[str, Any]) -> Any:
    """Return the step that follows faces in the pipeline of a call."""
    from sightflow.cli.identify import _identifying, chosen_models
    from sightflow.sources.directory import Directory

    pipeline = _identifying(Directory("x"), chosen_models(options), options)
    return pipeline.keyed[0].operator


def identified(gallery: Path, *words: object) -> list[tuple[str | None, float]]:
    """Return who the one face of each picture is."""
    result = call("identify", *words, "--gallery", gallery, "--runner", "inline", "--quiet")
    assert result.exit_code == 0, result.output
    faces = [json.loads(line)["faces"] for line in result.stdout.splitlines()]
    return [(face["person_id"], face["similarity"]) for (face,) in faces]


def test_two_pictures_of_one_person_are_the_same() -> None:
    result = call("compare", a_face(1, 1), a_face(1, 5))

    found = json.loads(result.stdout)
    assert found["same"] is True
    assert found["score"] >= found["threshold"]
    assert found["false_accept_rate"] == 0.001
    assert found["status"] == "ok"


def test_two_people_are_not() -> None:
    found = json.loads(call("compare", a_face(1, 1), a_face(3, 1)).stdout)
    assert found["same"] is False
    assert found["score"] < 0.4


def test_a_threshold_may_be_given() -> None:
    words = "compare", a_face(1, 1), a_face(3, 1), "--threshold", "-1"
    assert json.loads(call(*words).stdout)["same"] is True


def test_pictures_without_an_answer_are_told_with_the_reason(tmp_path: Path) -> None:
    text, empty = tmp_path / "text.jpg", tmp_path / "empty.jpg"
    text.write_text("no picture")
    empty.touch()
    pairs = tmp_path / "pairs.csv"
    ann = a_face(1, 1)
    with open(pairs, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file_a", "note", "file_b"])
        rows.writerow([ann, "good", a_face(1, 2)])
        rows.writerow([ann, "text", text])
        rows.writerow([empty, "", ann])
        rows.writerow([ann, "", "nowhere.jpg"])

    result = call("compare", "--pairs", pairs, "--out", tmp_path / "scores.csv")

    assert "4 pairs: 1 compared, 1 the same person" in result.stderr
    with open(tmp_path / "scores.csv", newline="") as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == ["file_a", "note", "file_b", "score", "same", "status"]
    assert [row["status"] for row in found] == [
        "ok",
        "not_an_image:file_b",
        "empty:file_a",
        "unreadable:file_b",
    ]
    assert found[0]["same"] == "true"
    assert float(found[0]["score"]) > 0.5
    assert [row["score"] for row in found[1:]] == [""] * 3
    assert [row["note"] for row in found] == ["good", "text", "", ""]


def test_pairs_may_lie_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("file_a,file_b\ns1/1.pgm,s2/1.pgm\n")
    root = a_face(1, 1).parent.parent
    words = "--pairs", tmp_path / "pairs.csv", "--root", root, "--out", tmp_path / "scores.csv"

    call("compare", *words, "--quiet")

    assert "s1/1.pgm,s2/1.pgm,0." in (tmp_path / "scores.csv").read_text()


def test_a_table_without_the_two_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match=r"needs the columns file_a and file_b; it has \['a'"):
        call("compare", "--pairs", tmp_path / "pairs.csv", "--out", tmp_path / "scores.csv")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give two pictures, A and B, or --pairs FILE"),
        (("a.jpg",), "two pictures are compared; got 1"),
        (("a.jpg", "b.jpg", "--root", "x"), "--root goes with --pairs"),
        (("a.jpg", "b.jpg", "--out", "x.csv"), "--pairs and --out go together"),
        (("a.jpg", "b.jpg"), "a.jpg: no such file"),
        (("a", "b", "--far", "0.1", "--threshold", "0"), "give --far or --threshold, not both"),
    ],
)
def test_options_that_do_not_go_together_are_told(words: tuple[str, ...], message: str) -> None:
    result = call("compare", *words)
    assert result.exit_code == 2
    assert message in result.output


def test_those_enrolled_are_recognised_and_others_stay_unknown(gallery: Path) -> None:
    found = identified(gallery, a_face(1, 8), a_face(2, 8), a_face(3, 8))

    assert [person for person, _ in found] == ["ann", "bob", None]
    assert found[2][1] < 0.484 <= min(found[0][1], found[1][1])


def test_a_higher_threshold_knows_fewer(gallery: Path) -> None:
    found = identified(gallery, a_face(1, 8), "--min-similarity", "0.99")
    assert [person for person, _ in found] == [None]


def test_results_have_nothing_that_a_face_could_be_described_by(gallery: Path) -> None:
    words = "identify", a_face(1, 8), "--gallery", gallery, "--runner", "inline", "--quiet"
    (face,) = json.loads(call(*words).stdout)["faces"]
    assert set(face) == {"score", "box_xyxy", "landmarks_xy", "person_id", "similarity"}


def test_a_person_is_enrolled_listed_and_forgotten(tmp_path: Path) -> None:
    gallery = tmp_path / "gallery"
    people = copy_people(tmp_path / "people", PEOPLE, [1, 2])
    assert f"4 new faces; {people} has 4 faces of 2 people" in enrol(gallery, people).stderr
    assert f"0 new faces; {people} has 4 faces of 2 people" in enrol(gallery, people).stderr

    rows = [json.loads(line) for line in call("list", gallery, "--json").stdout.splitlines()]
    assert [(row["person_id"], row["n_faces"]) for row in rows] == [("ann", 2), ("bob", 2)]

    assert "2 faces are gone; the pictures stay" in call("forget", gallery, "ann").stderr

    rows = [json.loads(line) for line in call("list", gallery, "--json").stdout.splitlines()]
    assert [row["person_id"] for row in rows] == ["bob"]
    assert [person for person, _ in identified(gallery, a_face(1, 8))] == [None]
    with pytest.raises(GalleryError, match="nobody is enrolled as 'ann'"):
        call("forget", gallery, "ann")


def test_one_picture_of_a_person_is_listed_and_forgotten(tmp_path: Path) -> None:
    gallery = tmp_path / "gallery"
    people = copy_people(tmp_path / "people", PEOPLE, [1, 2])
    enrol(gallery, people)

    assert (
        "1 face is gone" in call("forget", gallery, "ann", "--picture", people / "ann/1.pgm").stderr
    )

    rows = [
        json.loads(line)
        for line in call("list", gallery, "--pictures", "--json").stdout.splitlines()
    ]
    assert [(row["person_id"], row["picture"]) for row in rows] == [
        ("ann", str(people / "ann/2.pgm")),
        ("bob", str(people / "bob/1.pgm")),
        ("bob", str(people / "bob/2.pgm")),
    ]


def test_a_similarity_and_a_rate_are_not_given_together(gallery: Path) -> None:
    words = "--gallery", gallery, "--far", "0.01", "--min-similarity", "0.5"
    result = call("identify", a_face(1, 8), *words)
    assert result.exit_code == 2
    assert "give --far or --min-similarity, not both" in result.output


def test_nobody_else_may_read_a_gallery(gallery: Path) -> None:
    assert stat.S_IMODE(gallery.stat().st_mode) == 0o700
    modes = {stat.S_IMODE(path.stat().st_mode) for path in gallery.iterdir()}
    assert modes == {0o600}


def test_pictures_that_cannot_be_enrolled_are_told_and_the_rest_is(tmp_path: Path) -> None:
    people = copy_people(tmp_path / "people", {"ann": 1}, [1])
    (people / "ann" / "broken.jpg").write_text("no picture")
    (people / "nobody.pgm").write_bytes(a_face(2, 1).read_bytes())

    result = enrol(tmp_path / "gallery", people)

    assert "broken.jpg: not_an_image" in result.stderr
    assert "nobody.pgm: no_person" in result.stderr
    assert f"1 new faces; {people} has 1 faces of 1 people, 2 pictures rejected" in result.stderr


def test_a_folder_that_cannot_be_a_person_is_told_as_that(tmp_path: Path) -> None:
    people = copy_people(tmp_path / "people", {"ann": 1, "unknown": 2}, [1])
    result = enrol(tmp_path / "gallery", people)
    assert "no_person: person_id: 'unknown' is what those are called who are not" in result.stderr


def test_where_strangers_are_hidden_every_face_is_followed_from_the_first_on() -> None:
    from sightflow.cli.identify import identify_faces
    from sightflow.tasks.track import Track

    context = identify_faces.make_context("identify", ["x.mp4", "--gallery", "g", "--track"])
    assert _track_of({**context.params, "blur": False}) == Track(of="faces")
    followed = _track_of({**context.params, "blur": True})
    assert (followed.high_score, followed.min_hits) == (0.3, 1)


def test_a_picture_in_an_object_store_is_known_by_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sightflow.faces import uri_of

    monkeypatch.chdir(tmp_path)
    assert uri_of("a.jpg") == str(tmp_path / "a.jpg")
    assert uri_of("s3://people/a.jpg") == "s3://people/a.jpg"


def test_all_pictures_may_be_of_one_person(tmp_path: Path) -> None:
    people = copy_people(tmp_path / "people", {"some folder": 1}, [1, 2])
    enrol(tmp_path / "gallery", people, "--person", "ann")
    (row,) = call("list", tmp_path / "gallery", "--json").stdout.splitlines()
    assert json.loads(row)["person_id"] == "ann"


def test_who_may_be_in_the_wrong_folder_is_told(tmp_path: Path) -> None:
    people = copy_people(tmp_path / "people", {"ann": 1, "bob": 2}, [1])
    copy_people(people, {"bob": 1}, [2])

    result = enrol(tmp_path / "gallery", people)

    assert "bob/2.pgm: looks like ann (0." in result.stderr


def test_a_picture_that_is_unlike_the_others_of_its_person_is_told(tmp_path: Path) -> None:
    people = copy_people(tmp_path / "people", {"ann": 1}, [1, 2, 3])
    stranger = people / "ann" / "9.pgm"
    stranger.write_bytes(a_face(3, 1).read_bytes())

    told = enrol(tmp_path / "gallery", people).stderr

    assert f"{stranger}: is unlike the other pictures of ann (0." in told
    assert told.count("is unlike") == 1


def test_thumbnails_are_kept_only_when_they_are_asked_for(tmp_path: Path) -> None:
    from sightflow.storage.galleryfile import GalleryFile

    people = copy_people(tmp_path / "people", {"ann": 1}, [1])
    enrol(tmp_path / "without", people)
    enrol(tmp_path / "with", people, "--thumbnails")

    (without,) = GalleryFile(tmp_path / "without").entries()
    (kept,) = GalleryFile(tmp_path / "with").entries()
    assert without.thumbnail is None
    assert kept.thumbnail is not None
    assert kept.thumbnail.startswith(b"\xff\xd8\xff")


def test_an_encrypted_gallery_needs_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGHTFLOW_GALLERY_KEY", "a long passphrase")
    gallery = tmp_path / "gallery"
    enrol(gallery, copy_people(tmp_path / "people", {"ann": 1}, [1, 2]))
    assert [person for person, _ in identified(gallery, a_face(1, 8))] == ["ann"]
    assert b'"ann"' not in (gallery / "changes.jsonl").read_bytes()

    monkeypatch.delenv("SIGHTFLOW_GALLERY_KEY")
    with pytest.raises(GalleryError, match="set SIGHTFLOW_GALLERY_KEY to its key"):
        identified(gallery, a_face(1, 8))


def test_another_embedder_than_that_of_the_gallery_is_refused(
    gallery: Path, tmp_path: Path
) -> None:
    from sightflow.models import write_card, zoo

    model = zoo("mobilefacenet")
    other = tmp_path / "other.onnx"
    other.write_bytes(Path(model.path).read_bytes())
    from dataclasses import replace

    write_card(replace(model.card, name="other"), other.with_suffix(".yaml"))
    with pytest.raises(PipelineError, match="has embeddings of mobilefacenet 1"):
        identified(gallery, a_face(1, 8), "--embedder", other)


def test_a_calibration_writes_a_page_figures_and_a_model_that_can_be_used(tmp_path: Path) -> None:
    people = copy_people(tmp_path / "people", {f"p{i}": i for i in range(1, 9)}, [1, 4, 7])

    result = call("calibrate", people, "--out", tmp_path / "out", "--runner", "inline", "--quiet")

    assert "too few pairs" in result.stdout, "252 different pairs cannot tell 0.1 %"
    figures = json.loads((tmp_path / "out" / "calibration.json").read_text())
    assert (figures["n_people"], figures["n_same"], figures["n_different"]) == (8, 24, 252)
    assert figures["eer"] < 0.05
    assert [one["false_accept_rate"] for one in figures["thresholds"]] == [0.1, 0.01]
    assert "<svg" in (tmp_path / "out" / "calibration.html").read_text()
    words = a_face(1, 1), a_face(1, 5), "--far", "0.01"
    found = json.loads(
        call("compare", *words, "--embedder", tmp_path / "out/mobilefacenet.onnx").stdout
    )
    assert found["threshold"] == figures["thresholds"][1]["similarity"]
    assert found["measured_on"] == "people: 8 people, 24 pictures"


def test_one_picture_a_person_cannot_be_calibrated_on(tmp_path: Path) -> None:
    people = copy_people(tmp_path / "people", PEOPLE, [1])
    with pytest.raises(SourceError, match="needs two people or more, a folder for each, of whom"):
        call("calibrate", people, "--out", tmp_path / "out", "--runner", "inline", "--quiet")


def test_files_of_pairs_are_found_in_folders_below_by_a_name_that_is_there_once(
    tmp_path: Path,
) -> None:
    people = copy_people(tmp_path / "people", {"ann": 1}, [1, 2])
    (people / "bob").mkdir()
    (people / "bob" / "3.pgm").write_bytes(a_face(2, 3).read_bytes())
    (people / "bob" / "2.pgm").write_bytes(a_face(2, 2).read_bytes())
    (tmp_path / "pairs.csv").write_text("file_a,file_b\n1.pgm,3.pgm\n1.pgm,2.pgm\n")
    words = "--pairs", tmp_path / "pairs.csv", "--root", people, "--out", tmp_path / "scores.csv"

    call("compare", *words, "--quiet")

    with open(tmp_path / "scores.csv", newline="") as file:
        found = [row["status"] for row in csv.DictReader(file)]
    assert found == ["ok", "unreadable:file_b"], "there are two of the name 2.pgm"


def test_a_folder_in_the_folder_of_a_person_is_of_that_person(tmp_path: Path) -> None:
    for name, person in PEOPLE.items():
        copy_people(tmp_path / "people" / name, {"2019": person}, [1])
    enrol(tmp_path / "gallery", tmp_path / "people")
    rows = call("list", tmp_path / "gallery", "--json").stdout.splitlines()
    assert [json.loads(row)["person_id"] for row in rows] == ["ann", "bob"]


def test_a_folder_without_a_picture_that_can_be_enrolled_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "text.jpg").write_text("no picture")
    with pytest.raises(SourceError, match="has no picture that can be enrolled"):
        enrol(tmp_path / "gallery", tmp_path / "people")


def test_pictures_are_followed_only_with_a_rate(gallery: Path) -> None:
    result = call("identify", a_face(1, 8), "--gallery", gallery, "--track")
    assert result.exit_code == 2
    assert "is read as pictures, which need --fps N" in result.output
