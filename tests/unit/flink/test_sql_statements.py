"""A text of SQL is taken apart where its statements end, and not inside texts or comments."""

import pytest

from sightflow.flink.sql.statements import statements_of


def test_statements_end_with_semicolons_outside_of_texts_names_and_comments():
    sql = "SELECT ';' -- a; b\n; SELECT `a;b` /* ; */ FROM t;\n\n-- the end;\n"

    texts = [" ".join(statement.text.split()) for statement in statements_of(sql)]

    assert texts == ["SELECT ';'", "SELECT `a;b` FROM t"]


def test_a_statement_knows_its_line_in_the_file():
    sql = "-- first\nSELECT 1;\n\n/* two\nlines */\nSELECT\n  2;"

    assert [statement.line for statement in statements_of(sql)] == [2, 6]
    assert [statement.text for statement in statements_of(sql)] == ["SELECT 1", "SELECT\n  2"]


@pytest.mark.parametrize("sql", ["", " \n", ";;", "-- nothing", "/* open"])
def test_nothing_to_say_is_no_statement(sql):
    assert list(statements_of(sql)) == []


@pytest.mark.parametrize(
    ("sql", "is_query", "shows"),
    [
        ("select 1", True, False),
        ("WITH a AS (SELECT 1) SELECT * FROM a", True, False),
        ("(SELECT 1)", True, False),
        ("SHOW TABLES", False, True),
        ("DESCRIBE results", False, True),
        ("CREATE VIEW v AS SELECT 1", False, False),
        ("SELECTED", False, False),
    ],
)
def test_a_statement_says_whether_rows_come_of_it(sql, is_query, shows):
    (statement,) = statements_of(sql)
    assert (statement.is_query, statement.shows) == (is_query, shows)
