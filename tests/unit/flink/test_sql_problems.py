"""What Flink says against a statement becomes one message: the place, what it is, a near name."""

import pytest

from sightflow.errors import JobError, SqlError
from sightflow.flink.sql.problems import problem_with

NAMES = ["CLASSIFY_IMAGE", "results", "label", "score"]
VALIDATION = "org.apache.flink.table.api.ValidationException: SQL validation failed. "
STACK = "\n\tat org.apache.calcite.sql.SqlUtil.newContextException(SqlUtil.java:934)\n"


def said(java, text="SELECT labl FROM results", line=1):
    return str(problem_with(java, text, line, NAMES))


def test_a_name_that_is_not_there_is_pointed_at_and_a_near_one_is_told():
    java = VALIDATION + (
        "From line 1, column 8 to line 1, column 11: Column 'labl' not found in any table" + STACK
    )

    assert said(java) == (
        "line 1, column 8: Column 'labl' not found in any table; did you mean label?\n"
        "  SELECT labl FROM results\n"
        "         ^"
    )


def test_lines_are_those_of_the_file():
    java = VALIDATION + "From line 2, column 1 to line 2, column 4: Object 'resultt' not found"

    message = said(java, "SELECT *\nFROM resultt", line=10)

    assert message.startswith(
        "line 11, column 1: Object 'resultt' not found; did you mean results?"
    )


@pytest.mark.parametrize(
    ("java", "hint"),
    [
        ("No match found for function signature CLASIFY(<BINARY>)", "did you mean CLASSIFY_IMAGE?"),
        ("Object 'nothing_like_it' not found", "--tables lists every table"),
    ],
)
def test_hints_are_of_the_names_that_there_are(java, hint):
    assert said(VALIDATION + "From line 1, column 1 to line 1, column 2: " + java).find(hint) > 0


def test_what_the_parser_says_comes_without_all_that_it_expected():
    java = (
        'org.apache.flink.table.api.SqlParserException: SQL parse failed. Encountered "and <EOF>" '
        'at line 1, column 33.\nWas expecting one of:\n    "ALL" ...\n'
    )

    message = said(java, "SELECT 1 FROM results WHERE a > 3 and")

    assert message.splitlines()[0] == 'line 1, column 33: Encountered "and <EOF>"'
    assert "expecting" not in message


def test_wrong_arguments_are_told_with_the_right_ones():
    java = VALIDATION + (
        "Invalid function call:\nCLASSIFY_IMAGE(STRING NOT NULL)\n"
        "Caused by: org.apache.flink.table.api.ValidationException: Invalid input arguments. "
        "Expected signatures are:\nCLASSIFY_IMAGE(arg0 => BYTES)\n"
    )

    assert said(java) == (
        "line 1: CLASSIFY_IMAGE(STRING) cannot be called; it is CLASSIFY_IMAGE(BYTES)"
    )


@pytest.mark.parametrize(
    "java",
    [
        "o2.execute.\n: java.lang.RuntimeException: Unsupported type BINARY\n",
        "Caused by: java.lang.ArrayIndexOutOfBoundsException: Index 0 out of bounds for length 0\n",
    ],
)
def test_functions_of_constants_are_explained(java):
    problem = problem_with(java, "SELECT CHECK_FILE('a.jpg')", 1, NAMES)

    assert isinstance(problem, SqlError)
    assert "must be a column of a table; got constants only" in str(problem)


def test_an_error_of_python_is_that_error_and_the_job_has_failed():
    java = (
        "java.lang.RuntimeException: Failed to fetch next result\nCaused by: RuntimeError: "
        'sightflow-failure:{"type": "ModelError", "message": "m.onnx: gone", "traceback": ""}\n'
    )

    problem = problem_with(java, "SELECT 1", 1, NAMES)

    assert isinstance(problem, JobError)
    assert str(problem) == "m.onnx: gone"


def test_another_failure_is_its_innermost_cause():
    java = "java.lang.RuntimeException: Failed\nCaused by: java.io.IOException: disk full\n"

    problem = problem_with(java, "SELECT 1", 1, NAMES)

    assert isinstance(problem, JobError)
    assert str(problem) == "the query failed: java.io.IOException: disk full"
