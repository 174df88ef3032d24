"""Tables of SQL follow the Arrow schema of results, and nothing else."""

import pyarrow as pa
import pytest

from sightflow.flink.sql.columns import columns_of, quoted, sql_type, text
from sightflow.flink.sql.ddl import KINDS, VIEWS, create_table, create_views
from sightflow.records import EVENT_SCHEMA, REJECTED_SCHEMA, RESULT_SCHEMA


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        (pa.string(), "STRING"),
        (pa.int32(), "INT"),
        (pa.int64(), "BIGINT"),
        (pa.float32(), "FLOAT"),
        (pa.list_(pa.list_(pa.float32())), "ARRAY<ARRAY<FLOAT>>"),
        (pa.map_(pa.string(), pa.float64()), "MAP<STRING, DOUBLE>"),
        (
            pa.list_(pa.struct([pa.field("label", pa.string()), pa.field("n", pa.int64())])),
            "ARRAY<ROW<`label` STRING, `n` BIGINT>>",
        ),
    ],
)
def test_a_type_of_arrow_has_one_of_sql(type_, expected):
    assert sql_type(type_) == expected


def test_a_type_that_no_result_has_is_refused():
    with pytest.raises(TypeError, match=r"no type of SQL stands for date32\[day\]"):
        sql_type(pa.date32())


def test_columns_that_must_be_there_say_so():
    schema = pa.schema([pa.field("uri", pa.string(), nullable=False), ("zone", pa.string())])

    assert list(columns_of(schema)) == ["`uri` STRING NOT NULL", "`zone` STRING"]


def test_names_and_texts_keep_their_quotes():
    assert quoted("a`b") == "`a``b`"
    assert text("it's") == "'it''s'"


@pytest.mark.parametrize("kind", ["results", "rejected", "events"])
def test_a_table_has_every_field_of_its_schema(kind):
    statement = create_table("t", kind, {"connector": "filesystem", "path": "file:///a b/it's"})

    schema = {"results": RESULT_SCHEMA, "rejected": REJECTED_SCHEMA, "events": EVENT_SCHEMA}[kind]
    for field in schema:
        assert f"\n  {quoted(field.name)} {sql_type(field.type)}" in statement
    assert "'path' = 'file:///a b/it''s'" in statement


def test_what_has_a_time_has_it_for_windows_too():
    assert "`event_time` AS TO_TIMESTAMP_LTZ(`event_time_ms`, 3)" in create_table("e", "events", {})
    late = create_table("e", "events", {}, max_late_s=0.5)
    assert "WATERMARK FOR `event_time` AS `event_time` - INTERVAL '0.500' SECOND" in late
    assert "event_time" not in create_table("r", "rejected", {})


def test_views_unnest_each_list_of_a_result_and_give_boxes_as_four_columns():
    views = dict(zip(VIEWS, create_views("mine", "mine_"), strict=True))

    assert all(KINDS["results"].field(field).type for field in VIEWS.values())
    assert views["detections"].startswith("CREATE TEMPORARY VIEW `mine_detections` AS\nSELECT")
    assert "CROSS JOIN UNNEST(`tracks`) AS item (`track_id`, `label`" in views["tracks"]
    assert "item.`box_xyxy`[4] AS y2" in views["faces"]
    assert "box_xyxy" not in views["classifications"]
