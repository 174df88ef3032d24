"""Wrong calls of `sightflow sql` are refused before anything runs."""

import pytest
from click.testing import CliRunner

from sightflow.cli.sql import sql


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give a QUERY, or --tables"),
        (["/* nothing */"], "QUERY has no statement"),
        (["gone.sql"], "gone.sql: cannot be read"),
        (["SELECT 1", "--out", "rows.txt"], "the ending must be .jsonl or .csv"),
        (["SELECT 1", "--out", "r.csv", "--format", "jsonl"], "disagree"),
        (["SELECT 1; SELECT 2", "--out", "r.csv"], "--out takes the rows of one query; got 2"),
        (["SELECT 1", "--out", "there.csv"], "exists already; add --overwrite"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sightflow.flink.gateway.start_in_background", lambda: None)
    (tmp_path / "there.csv").write_text("")

    called = CliRunner().invoke(sql, words)

    assert called.exit_code == 2
    assert message in called.output
