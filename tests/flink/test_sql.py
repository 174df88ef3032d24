"""SQL on Flink: functions equal pipelines, tables are what runs wrote, queries end well."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest
from tests.faces import orl_faces
from tests.pictures import fill_folder

from sightflow import Classify, Detect, Directory, JsonLines, Pipeline, RunSettings, run
from sightflow.errors import JobError, ModelError, SqlError
from sightflow.flink.sql import (
    Session,
    add_pictures,
    add_table,
    add_topic,
    open_environment,
    register,
)
from sightflow.flink.sql.statements import statements_of
from sightflow.models import zoo
from sightflow.sinks.dataset import Dataset
from sightflow.sinks.kafka import KafkaEvents
from sightflow.sinks.results import Parquet

pytestmark = pytest.mark.flink


def an_event(kind, track_id, label, at_s):
    return {
        "kind": kind,
        "step": "yard",
        "source_id": "gate",
        "sequence": int(at_s * 25),
        "event_time_ms": int(at_s * 1000),
        "track_id": track_id,
        "label": label,
        "zone": "yard",
        "figures": {"n": 1.0},
    }


EVENTS = [
    an_event("entered", 1, "truck", 1),
    an_event("entered", 2, "truck", 2),
    an_event("exited", 2, "truck", 12),
    an_event("entered", 3, "car", 15),
    an_event("exited", 1, "truck", 41),
    an_event("exited", 3, "car", 99),
]
LONG_STAYS = """
SELECT * FROM events MATCH_RECOGNIZE (
  PARTITION BY source_id, track_id ORDER BY event_time
  MEASURES a.event_time AS since, b.event_time_ms - a.event_time_ms AS stay_ms
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (a b)
  DEFINE a AS a.kind = 'entered' AND a.label = 'truck',
         b AS b.kind = 'exited' AND b.event_time_ms - a.event_time_ms > 30000)
"""


def save_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return str(path)


def ask(env, sql, *, follow=False):
    """Return the rows of the last statement, as dicts."""
    for statement in statements_of(sql):
        answer = Session(env, follow=follow).run(statement)
        rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    return rows


@pytest.fixture(scope="module")
def env():
    made = open_environment()
    register(made)
    return made


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Give pictures, two files of them broken, and one whose name is no text."""
    folder = fill_folder(tmp_path_factory.mktemp("sql") / "photos", 12)
    os.rename(folder / "0000.jpg", os.fsencode(folder) + b"/\xff it's.jpg")
    return folder


@pytest.fixture(scope="module")
def recognised(photos, env):
    """Give the results and the rejected images of a pipeline over the pictures."""
    out = photos.parent / "out.jsonl"
    pipeline = Pipeline(Directory(str(photos))).apply("classify", Classify())
    run(pipeline.apply("detect", Detect()).write("out", JsonLines(str(out))))
    add_pictures(env, Directory(str(photos)))
    return [
        [orjson.loads(line) for line in path.read_bytes().splitlines()]
        for path in (out, out.with_suffix(".rejected.jsonl"))
    ]


def test_functions_answer_row_by_row_what_a_pipeline_finds(env, recognised):
    results, _ = recognised

    rows = ask(
        env,
        "SELECT uri, CLASSIFY_IMAGE(data) AS c, DETECT_OBJECTS(data) AS o, DECODE_SIZE(data) AS s "
        "FROM pictures WHERE CHECK_IMAGE(data) IS NULL",
    )

    found = {row["uri"]: row for row in rows}
    assert len(results) == len(rows) == 13
    for result in results:
        row = found[result["uri"]]
        assert row["s"] == {"width": result["width"], "height": result["height"]}
        best = result["classification"][0]
        assert (row["c"]["label"], row["c"]["class_id"]) == (best["label"], best["class_id"])
        assert row["c"]["top_labels"] == [one["label"] for one in result["classification"]]
        scores = [one["score"] for one in result["classification"]]
        assert row["c"]["top_scores"] == pytest.approx(scores, rel=1e-6)
        boxes = [tuple(row["o"][n][k] for k in ("x1", "y1", "x2", "y2")) for n in row["o"]]
        expected = [tuple(one["box_xyxy"]) for one in result["detections"]]
        assert [pytest.approx(box, abs=1e-3) for box in expected] == boxes
        labels = [one["label"] for one in result["detections"]]
        assert [one["label"] for one in row["o"].values()] == labels


def test_a_broken_picture_is_null_and_its_reason_is_that_of_the_pipeline(env, recognised):
    _, rejected = recognised

    rows = ask(
        env,
        "SELECT uri, CLASSIFY_IMAGE(data) AS c, DETECT_OBJECTS(data) AS o, "
        "FACE_EMBEDDING(data) AS f, DECODE_SIZE(data) AS s, CHECK_IMAGE(data) AS problem, "
        "CHECK_FILE(uri) AS file FROM pictures WHERE CHECK_IMAGE(data) IS NOT NULL",
    )

    assert len(rows) == len(rejected) == 2
    reasons = {row["uri"]: row["problem"]["reason"] for row in rows}
    assert reasons == {row["uri"]: row["reason"] for row in rejected}
    assert all(row[name] is None for row in rows for name in "cofs")
    assert all(row["file"] == row["problem"] for row in rows)


def test_null_in_gives_null_out(env, recognised):
    rows = ask(
        env,
        "SELECT CHECK_IMAGE(data) a, CLASSIFY_IMAGE(data) b, DETECT_OBJECTS(data) c, "
        "FACE_EMBEDDING(data) d, DECODE_SIZE(data) e, READ_IMAGE(uri) f, CHECK_FILE(uri) g "
        "FROM (SELECT CASE WHEN sequence < 0 THEN uri END AS uri, "
        "CASE WHEN sequence < 0 THEN data END AS data FROM pictures)",
    )

    assert len(rows) >= 15
    assert {value for row in rows for value in row.values()} == {None}


def test_a_file_that_cannot_be_read_is_null_and_told(env, recognised):
    gone = "SELECT uri || '.gone' AS uri FROM pictures"

    rows = ask(env, f"SELECT READ_IMAGE(uri) d, CHECK_FILE(uri).reason r FROM ({gone}) LIMIT 3")

    assert rows == [{"d": None, "r": "unreadable"}] * 3


def test_faces_of_one_person_are_more_alike(env, tmp_path):
    people = [*orl_faces(10, (1, 2)), *orl_faces(2, (1,))]
    add_pictures(env, Directory(tuple(map(str, people))), name="people")

    rows = ask(
        env,
        "WITH f AS (SELECT uri, FACE_EMBEDDING(data) AS e FROM people) "
        "SELECT a.uri AS first_uri, b.uri AS second_uri, FACE_SIMILARITY(a.e, b.e) AS s "
        "FROM f a JOIN f b ON a.uri < b.uri",
    )

    similarity = {frozenset((row["first_uri"], row["second_uri"])): row["s"] for row in rows}
    same = similarity.pop(frozenset(map(str, people[:2])))
    assert len(similarity) == 2
    assert same > max(similarity.values()) + 0.2


def test_windows_count_and_views_unnest(env, recognised, photos):
    names = add_table(env, "results", str(photos.parent / "out.jsonl"))

    counted = ask(
        env,
        "SELECT label, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE classifications, "
        "DESCRIPTOR(event_time), INTERVAL '30' DAY)) GROUP BY window_start, window_end, label",
    )

    assert names == ("results", "classifications", "detections", "tracks", "faces")
    assert sum(row["n"] for row in counted) == 13 * 5
    boxes = ask(env, "SELECT x1, y2 FROM detections ORDER BY x1")
    found = [one["box_xyxy"] for row in recognised[0] for one in row["detections"]]
    assert [row["x1"] for row in boxes] == pytest.approx(sorted(box[0] for box in found))


def test_a_pattern_finds_the_truck_that_stays(env, tmp_path):
    add_table(env, "events", save_lines(tmp_path / "events.jsonl", EVENTS))

    (row,) = ask(env, LONG_STAYS)

    assert (row["track_id"], row["stay_ms"]) == (1, 40_000)
    assert row["since"].isoformat() == "1970-01-01T00:00:01"


def test_parquet_holds_the_same_rows_as_json(env, recognised, photos, tmp_path):
    pipeline = Pipeline(Directory(str(photos))).apply("classify", Classify())
    out = tmp_path / "out.parquet"
    run(pipeline.write("out", Parquet(str(out))))
    add_table(env, "columnar", str(out))

    rows = ask(env, "SELECT uri, width, classification FROM columnar")

    expected = {row["uri"]: row["classification"] for row in recognised[0]}
    assert {row["uri"]: row["classification"] for row in rows} == expected


def test_a_dataset_has_a_table_for_each_of_its_kinds(tmp_path, photos):
    env = open_environment()
    pipeline = Pipeline(Directory(str(photos))).apply("classify", Classify())
    run(pipeline.write("out", Dataset(str(tmp_path / "data"))))

    names = add_table(env, "results", str(tmp_path / "data"))

    assert names[0] == "results"
    assert names[-1] == "rejected"
    assert ask(env, "SELECT COUNT(*) AS n FROM results") == [{"n": 13}]
    assert ask(env, "SELECT COUNT(*) AS n FROM rejected") == [{"n": 2}]


def test_a_query_that_follows_gives_the_rows_of_parts_that_appear_later(tmp_path):
    env = open_environment(follow=True)
    folder = tmp_path / "data"
    save_lines(folder / "events" / "part-00000000.jsonl", EVENTS[:2])
    add_table(env, "events", str(folder), follow=True)
    (statement,) = statements_of("SELECT track_id, kind FROM events")

    answer = Session(env, follow=True).run(statement)
    rows = [next(answer.rows), next(answer.rows)]
    hidden = save_lines(tmp_path / "hidden", EVENTS[2:3])
    os.rename(hidden, folder / "events" / "part-00000001.jsonl")
    rows.append(next(answer.rows))
    answer.rows.close()

    assert answer.columns == ("op", "track_id", "kind")
    assert sorted(rows) == [("+I", 1, "entered"), ("+I", 2, "entered"), ("+I", 2, "exited")]


def test_a_topic_has_the_rows_that_a_pipeline_sent(broker, photos):
    topic = broker.create(1, name="sql")
    pipeline = Pipeline(Directory(str(photos))).apply("classify", Classify(top_k=1))
    run(pipeline.write("out", KafkaEvents(broker.servers, topic)), RunSettings(runner="inline"))
    env = open_environment()
    add_topic(env, "results", "results", broker.servers, topic)

    rows = ask(env, "SELECT COUNT(DISTINCT uri) AS n, COUNT(label) AS labels FROM classifications")

    assert rows == [{"n": 13, "labels": 13}]


def test_a_statement_that_is_wrong_is_told_with_its_place(env, recognised):
    with pytest.raises(SqlError, match=r"line 2, column 8: Column 'urn' not found.*mean uri"):
        ask(env, "\nSELECT urn FROM pictures")
    with pytest.raises(SqlError, match=r"it is CLASSIFY_IMAGE\(BYTES\)"):
        ask(env, "SELECT CLASSIFY_IMAGE(uri) FROM pictures")
    with pytest.raises(SqlError, match="must be a column of a table"):
        ask(env, "SELECT CHECK_FILE('a.jpg')")


def test_an_error_of_a_function_fails_the_query_and_not_the_next_one(env, recognised):
    pairs = "SELECT FACE_SIMILARITY(ARRAY[1.0, sequence], ARRAY[1.0]) FROM pictures"

    with pytest.raises(JobError, match="both embeddings must be of one model; got 2 and 1"):
        ask(env, pairs)

    assert ask(env, "SELECT COUNT(*) AS n FROM pictures")[0]["n"] >= 15


def test_a_model_for_another_task_is_refused_before_anything_runs():
    with pytest.raises(ModelError, match="is for the task 'classify'"):
        register(open_environment(), detect=Detect(zoo("efficientnet_lite0")))


def command(*words, **options):
    call = [str(Path(sys.executable).with_name("sightflow")), "sql", *words]
    return subprocess.Popen(call, stdout=-1, stderr=-1, text=True, **options)


def test_the_command_answers_in_lines_of_json_and_refuses_with_2(tmp_path):
    events = save_lines(tmp_path / "events.jsonl", EVENTS)

    out, err = (told := command("--events", events, LONG_STAYS)).communicate(timeout=120)
    assert (told.returncode, err) == (0, "")
    assert orjson.loads(out)["stay_ms"] == 40_000

    out, err = (told := command("--events", events, "SELECT knd FROM events")).communicate()
    assert (told.returncode, out) == (2, "")
    assert "did you mean kind?" in err
    assert "org.apache" not in err


def test_ctrl_c_ends_a_query_that_follows_and_leaves_nothing_behind(tmp_path):
    save_lines(tmp_path / "data" / "events" / "part-00000000.jsonl", EVENTS)
    query = "SELECT kind FROM events"

    told = command("--follow", "--events", str(tmp_path / "data"), "--format", "jsonl", query)
    lines = [told.stdout.readline() for _ in EVENTS]
    time.sleep(1)
    told.send_signal(signal.SIGINT)
    out, err = told.communicate(timeout=60)

    assert (told.returncode, out, err) == (0, "", "")
    assert [orjson.loads(line)["op"] for line in lines] == ["+I"] * len(EVENTS)
