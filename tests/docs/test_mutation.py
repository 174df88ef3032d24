"""docs/how-to/mutation.md has the scores that were measured; listed mutants have reasons."""

import json
import re

import yaml
from tests.docs.pages import ROOT, table
from tools.mutation import ROOMS


def test_the_scores_are_those_that_were_measured():
    measured = json.loads((ROOT / "benchmarks/results/mutation.json").read_text())["rooms"]
    rows = {room: cells for room, _, *cells in table("docs/how-to/mutation.md", "The scores")}
    assert list(rows) == list(ROOMS) == list(measured)
    for room, figures in measured.items():
        of = f" of {figures['of']:,}" if figures["mutants"] < figures["of"] else ""
        assert rows[room] == [
            f"{figures['mutants']:,}{of}",
            f"{figures['killed'] + figures['timeout']:,}",
            str(figures["equivalent"]),
            f"{100 * figures['score']:.1f} %",
        ]


def test_every_equivalent_mutant_has_a_change_and_a_reason():
    listed = yaml.safe_load((ROOT / "tools/mutation.yaml").read_text())
    assert set(listed) == {"everywhere", *ROOMS}
    for entry in (entry for entries in listed.values() for entry in entries):
        assert entry["reason"]
        assert " => " in entry["change"]
        re.compile(entry["change"])
