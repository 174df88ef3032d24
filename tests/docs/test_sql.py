"""The SQL of the pages runs over a reader's pictures and results, and rows come out."""

import shutil
from pathlib import Path

import orjson
import pytest
from tests.docs.pages import ROOT, blocks, table

from sightflow import Directory
from sightflow.flink.sql import Session, add_pictures, add_table, open_environment, register
from sightflow.flink.sql.ddl import VIEWS
from sightflow.flink.sql.registering import FUNCTIONS
from sightflow.flink.sql.statements import statements_of
from sightflow.testing import draw_scene, encode_image

QUERIES = blocks("sql")
PAGE = "docs/how-to/sql.md"
GATE = {"source_id": "gate", "width": 640, "height": 480}


def a_result(at_s):
    """Return the result of a frame with a truck."""
    box = [10.0 + at_s, 20.0, 110.0 + at_s, 90.0]
    truck = {"track_id": 1, "label": "truck", "class_id": 7, "score": 0.9, "box_xyxy": box}
    time = {"sequence": at_s, "event_time_ms": at_s * 1000}
    return {"uri": "gate.mp4", **GATE, **time, "detections": [truck], "tracks": [truck]}


def an_event(kind, at_s):
    return {
        "kind": kind,
        "step": "yard",
        "source_id": "gate",
        "sequence": at_s,
        "event_time_ms": at_s * 1000,
        "track_id": 1,
        "label": "truck",
        "zone": "yard",
    }


def save_lines(path: Path, rows) -> str:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def session(drawn, tmp_path_factory):
    """Give a session with all tables of the page; the pictures have one that is broken."""
    folder = tmp_path_factory.mktemp("asked")
    shutil.copytree(drawn / "people", folder / "people")
    (folder / "people" / "large.jpg").write_bytes(encode_image(draw_scene()))
    shutil.copy(_dog(), folder / "people" / "seen.jpg")
    (folder / "people" / "cut.jpg").write_bytes(encode_image(draw_scene())[:2000])
    env = open_environment()
    register(env)
    add_pictures(env, Directory(str(folder / "people")))
    add_table(env, "results", save_lines(folder / "r.jsonl", map(a_result, range(60))))
    events = [an_event("appeared", 1), an_event("entered", 2), an_event("exited", 50)]
    add_table(env, "events", save_lines(folder / "e.jsonl", events))
    return Session(env)


def _dog() -> Path:
    """Return a picture in which the detector finds something."""
    return ROOT / "docs" / "images" / "detected.jpg"


def test_the_page_has_its_queries():
    assert len(QUERIES) >= 8


@pytest.mark.flink
@pytest.mark.parametrize("block", QUERIES, ids=str)
def test_rows_come_out_of_a_query_of_the_documentation(block, session):
    for statement in statements_of(block.text):
        answer = session.run(statement)
        rows = list(answer.rows)
        assert rows, f"{block}: no rows"
        assert all(len(row) == len(answer.columns) for row in rows)


def test_the_functions_and_the_views_of_the_page_are_those_of_the_code():
    named = [row[0].partition("(")[0] for row in table(PAGE, "Functions")]
    views = [row[0] for row in table(PAGE, "Tables") if "classifications" in row[0]]

    assert sorted(named) == sorted(FUNCTIONS)
    assert views[0].replace("`", "").split(", ") == list(VIEWS)
