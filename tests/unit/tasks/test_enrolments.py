"""Lines of a file enrol people by their pictures, and forget them."""

import json
from pathlib import Path

import pytest
from tests.faces import copy_people, orl_faces

from sightflow.errors import PipelineError
from sightflow.records import Event, TableUpdate
from sightflow.tasks.enrolments import Enrolments, EnrolmentUpdates
from sightflow.tasks.gallery import person_of
from sightflow.testing import a_context


@pytest.fixture
def people(tmp_path: Path) -> Path:
    return copy_people(tmp_path, {"ann": 1, "bob": 2}, [1, 2])


def say(people: Path, *lines: object) -> None:
    with open(people / "lines.jsonl", "a") as file:
        file.writelines(
            (line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines
        )


def opened(people: Path, position: str | None = None, **rows: bytes) -> EnrolmentUpdates:
    source = Enrolments(str(people / "lines.jsonl"))
    return source.open_updates(a_context("tables"), position, rows)


def an_enrolment(name: str, number: int = 1) -> dict[str, str]:
    return {"enrol": name, "picture": f"{name}/{number}.pgm"}


def test_a_picture_becomes_a_row_of_its_person(people: Path) -> None:
    say(people, an_enrolment("ann"))

    update = opened(people).poll(0)

    assert update is not None
    (row,) = update.rows.values()
    assert row is not None
    assert person_of(row) == "ann"
    assert update.version == (people / "lines.jsonl").stat().st_size
    assert update.events == (), "what is there at first is no news"


def test_who_is_forgotten_has_no_row_any_more(people: Path) -> None:
    say(people, an_enrolment("ann"), an_enrolment("bob"), an_enrolment("ann", 2), {"forget": "ann"})
    stream = opened(people)
    enrolled = [key for _ in range(3) for key in stream.poll(0).rows]  # type: ignore[union-attr]

    update = stream.poll(0)

    assert update is not None
    assert update.rows == {enrolled[0]: None, enrolled[2]: None}


def forgotten_after_a_restart(people: Path) -> tuple[dict[str, bytes], TableUpdate]:
    """Return the rows of a checkpoint, and what a line behind it makes of them."""
    say(people, an_enrolment("ann"))
    stream = opened(people)
    rows = dict(stream.poll(0).rows)  # type: ignore[union-attr]
    say(people, {"forget": "ann"})
    update = opened(people, stream.position(), **rows).poll(0)  # type: ignore[arg-type]
    assert update is not None
    return rows, update  # type: ignore[return-value]


def test_those_of_a_checkpoint_can_be_forgotten(people: Path) -> None:
    rows, update = forgotten_after_a_restart(people)

    assert update.rows == dict.fromkeys(rows)


def test_later_lines_are_news_without_a_name(people: Path) -> None:
    stream = opened(people)
    assert stream.poll(0) is None
    assert stream.is_caught_up()
    say(people, an_enrolment("ann"), {"forget": "ann"})

    first, second = stream.poll(0.1), stream.poll(0.1)

    assert first is not None
    assert second is not None
    (enrolled,), (forgotten,) = first.events, second.events
    assert (enrolled.kind, enrolled.figures["n_enrolled"]) == ("gallery", 1)  # type: ignore[index]
    assert (forgotten.kind, forgotten.figures["n_forgotten"]) == ("gallery", 1)  # type: ignore[index]
    assert "ann" not in repr((enrolled, forgotten))


def refused(people: Path) -> Event:
    update = opened(people).poll(0)
    assert update is not None
    assert not update.rows
    (event,) = update.events
    assert event.kind == "refused"
    return event


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"enrol": "ann", "picture": "nowhere.jpg"}, "unreadable"),
        ({"enrol": "ann", "picture": "text.jpg"}, "not_an_image"),
        ({"enrol": "ann", "picture": "grey.pgm"}, "no_face"),
        ("no line", "JSON is malformed"),
        ({"enrol": "ann"}, "`enrol` and `picture` go together"),
        ({"enrol": "ann", "picture": "x", "forget": "ann"}, "has either `enrol` and"),
        ({"enroll": "ann"}, "unknown field `enroll`"),
        ({"forget": ""}, "length >= 1"),
        ({"enrol": "\u0007", "picture": "x"}, "bad_line"),
        ({"enrol": "unknown", "picture": "x"}, "bad_line"),
    ],
)
def test_what_cannot_be_enrolled_is_told_with_the_reason(
    line: object, reason: str, people: Path
) -> None:
    (people / "text.jpg").write_text("no picture")
    (people / "grey.pgm").write_bytes(b"P5 64 64 255\n" + b"\x80" * 64 * 64)
    say(people, line)

    assert reason in str(refused(people).reason)


def test_a_picture_of_several_people_is_refused_unless_the_main_one_may_be_taken(
    people: Path,
) -> None:
    import numpy as np
    from PIL import Image

    pictures = [next(iter(orl_faces(person, [1]))) for person in (1, 2)]
    both = np.concatenate([np.asarray(Image.open(path)) for path in pictures], axis=1)
    Image.fromarray(both).save(people / "both.png")
    say(people, {"enrol": "ann", "picture": "both.png"})

    assert "several_faces" in str(refused(people).reason)

    taking = Enrolments(str(people / "lines.jsonl"), several="take")
    update = taking.open_updates(a_context(), None, {}).poll(0)
    assert update is not None
    assert len(update.rows) == 1


def test_models_that_do_not_fit_are_refused_before_a_picture_comes(people: Path) -> None:
    with pytest.raises(PipelineError, match="has 5 landmarks, and the faces have 6"):
        Enrolments(str(people / "lines.jsonl"), aligner=None).check()
    assert Enrolments("x").embedder_name == "mobilefacenet 1"


def test_forgetting_nobody_changes_nothing(people: Path) -> None:
    say(people, {"forget": "nobody"})
    update = opened(people).poll(0)
    assert update is not None
    assert update.rows == {}


def test_a_last_line_without_its_end_is_not_waited_for(people: Path) -> None:
    say(people, an_enrolment("ann"))
    with open(people / "lines.jsonl", "a") as file:
        file.write('{"enrol": "bob"')
    stream = opened(people)

    assert stream.poll(0) is not None
    assert stream.poll(0) is None
    assert stream.is_caught_up()


def test_what_came_behind_a_checkpoint_is_news_also_after_a_restart(people: Path) -> None:
    _, update = forgotten_after_a_restart(people)

    assert [event.kind for event in update.events] == ["gallery"]


def test_what_is_refused_names_nobody(people: Path) -> None:
    say(people, {"enrol": "ann", "picture": "ann/nowhere.jpg"})
    assert "ann" not in repr(refused(people)).replace(str(people), "")


def test_models_that_do_not_fit_end_the_job(people: Path) -> None:
    say(people, an_enrolment("ann"))
    source = Enrolments(str(people / "lines.jsonl"), aligner=None)
    with pytest.raises(PipelineError, match="has 5 landmarks, and the faces have 6"):
        source.open_updates(a_context(), None, {}).poll(0)
