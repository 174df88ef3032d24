"""Labels are lines of a file that may still grow."""

import json
from pathlib import Path

import pytest

from sightflow.errors import SourceError
from sightflow.records import Label, Rejected
from sightflow.sources.jsonlabels import JsonLabels
from sightflow.testing import a_context


def write(path: Path, *labels: dict[str, object], end: str = "\n") -> None:
    with path.open("a") as file:
        file.write("\n".join(map(json.dumps, labels)) + end)


def a_label(sequence: int, label: str | None = "cat") -> dict[str, object]:
    return {"source_id": "door", "sequence": sequence, "label": label}


def opened(path: Path, position: str | None = None, *, follow: bool = True):
    return JsonLabels(str(path), follow=follow).open_labels(a_context("read"), position)


def test_a_result_with_a_label_is_one(tmp_path: Path) -> None:
    write(tmp_path / "l", {"uri": "a.jpg", **a_label(7), "classification": [{"label": "dog"}]})
    assert opened(tmp_path / "l").poll(0.0) == Label("door", 7, "cat")


def test_null_says_that_nobody_will_tell(tmp_path: Path) -> None:
    write(tmp_path / "l", a_label(7, None))
    assert opened(tmp_path / "l").poll(0.0) == Label("door", 7, None)


def test_a_line_is_taken_once_all_of_it_is_there(tmp_path: Path) -> None:
    labels = opened(tmp_path / "l")
    assert labels.poll(0.0) is None, "the file itself is not there"
    write(tmp_path / "l", a_label(1), end="")
    assert labels.poll(0.0) is None
    write(tmp_path / "l", end="\n")
    assert labels.poll(0.0) == Label("door", 1, "cat")
    assert not labels.ended(), "it may grow"


def test_without_following_it_ends_with_the_last_line_also_one_without_an_end(tmp_path) -> None:
    write(tmp_path / "l", a_label(1), a_label(2), end="")
    labels = opened(tmp_path / "l", follow=False)
    assert [labels.poll(0.0).sequence, labels.poll(0.0).sequence] == [1, 2]
    assert labels.ended()


def test_it_goes_on_behind_the_last_line_that_was_taken(tmp_path: Path) -> None:
    write(tmp_path / "l", a_label(1), a_label(2), a_label(3))
    first = opened(tmp_path / "l")
    first.poll(0.0)
    assert opened(tmp_path / "l", first.position()).poll(0.0) == Label("door", 2, "cat")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cat", "malformed"),
        ('{"source_id": "door", "label": "cat"}', "missing required field `sequence`"),
        ('{"source_id": "door", "sequence": "x", "label": "cat"}', "Expected `int`"),
        ('{"source_id": "\udcff"}', "utf-8"),
        ('{"source_id": "door", "sequence": -1, "label": "cat"}', ">= 0"),
        (f'{{"source_id": "door", "sequence": {2**63}, "label": "cat"}}', "sequence"),
        ('{"source_id": "door", "sequence": 1, "label": ""}', "length >= 1"),
    ],
)
def test_a_line_that_is_no_label_is_rejected_and_the_rest_goes_on(tmp_path, line, message) -> None:
    path = tmp_path / "l"
    path.write_bytes(line.encode("utf-8", "surrogateescape") + b"\n\n")
    write(path, a_label(2))
    labels = opened(path)
    rejected = labels.poll(0.0)
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.origin.uri) == ("bad_label", f"{path}#0")
    assert message.lower() in rejected.message.lower()
    assert labels.poll(0.0) == Label("door", 2, "cat")


def test_many_lines_are_read_in_parts(tmp_path: Path) -> None:
    write(tmp_path / "l", *(a_label(i, "x" * 500) for i in range(4_000)))
    labels = opened(tmp_path / "l", follow=False)
    assert [labels.poll(0.0).sequence for _ in range(4_000)] == list(range(4_000))
    assert labels.ended()


def test_a_file_that_has_shrunk_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "l", a_label(1), a_label(2))
    labels = opened(tmp_path / "l")
    labels.poll(0.0)
    labels.poll(0.0)
    (tmp_path / "l").write_text("")
    with pytest.raises(SourceError, match=r"has 0 bytes, of which .* lines may only be added"):
        labels.poll(0.0)


def test_a_file_that_is_not_there_is_an_error_unless_it_is_waited_for(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file; `follow` would wait for it"):
        opened(tmp_path / "nowhere", follow=False)


def test_a_line_that_does_not_end_is_given_up_and_told(tmp_path: Path) -> None:
    (tmp_path / "l").write_bytes(b"x" * (3 << 20))
    labels = opened(tmp_path / "l")
    found = [labels.poll(0.0) for _ in range(4)]
    assert [getattr(item, "reason", None) for item in found[:2]] == ["bad_label"] * 2
    assert found[-1] is None


def test_the_time_of_the_image_is_taken_where_it_is_told(tmp_path: Path) -> None:
    write(tmp_path / "l", {**a_label(1), "event_time_ms": 1_700_000_000_123})
    assert opened(tmp_path / "l").poll(0.0) == Label("door", 1, "cat", 1_700_000_000_123)


def test_a_folder_is_no_file_of_labels(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read: Is a directory"):
        opened(tmp_path).poll(0.0)


def test_a_file_may_begin_with_the_mark_of_utf_8(tmp_path: Path) -> None:
    (tmp_path / "l").write_bytes(b"\xef\xbb\xbf")
    write(tmp_path / "l", a_label(1))
    assert opened(tmp_path / "l").poll(0.0) == Label("door", 1, "cat")
