"""A page shows what pairs of faces tell, and needs neither a script nor another file."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sightflow.dashboard.verification import CalibrationReport, write_verification_report
from sightflow.errors import MetricsError
from sightflow.metrics.verification import Verification, VerificationFigures

# With a rising threshold, of four each:    0    1/8   1/4   3/8   1/2   5/8   3/4   7/8
#   different people that are accepted      4     3     2     2     1     1     0     0
#   pairs of the same person accepted       4     4     4     3     3     2     2     1
SAME = [0.25, 0.5, 0.75, 0.875]
DIFFERENT = [0, 0.125, 0.375, 0.625]


def figures(same: list[float], different: list[float]) -> VerificationFigures:
    pairs = Verification()
    is_same = np.repeat([True, False], [len(same), len(different)])
    pairs.update(np.array([*same, *different], np.float32), is_same)
    return pairs.compute()


def a_report(
    same: list[float] = SAME, different: list[float] = DIFFERENT, **fields: Any
) -> CalibrationReport:
    fields = {"title": "faces", "threshold": 0.5, "n_people": 3, "n_pictures": 9, **fields}
    return CalibrationReport(figures=figures(same, different), **fields)


def page_of(folder: Path, report: CalibrationReport) -> str:
    write_verification_report(folder / "report.html", report)
    return (folder / "report.html").read_text("utf-8")


def rows_of(page: str) -> list[list[str]]:
    """Return the texts of the cells of all tables, without their heads."""
    rows = re.findall(r"<tr>(<th scope=\"row\">.*?)</tr>", page)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


def path_of(page: str, kind: str) -> str:
    (path,) = re.findall(rf'<path class="{kind}" d="(.*?)"', page)
    return path


def titles_of(page: str) -> list[str]:
    return re.findall(r"<title>(.*?)</title></(?:rect|circle)>", page)


def test_it_begins_with_what_the_proposed_threshold_does(tmp_path: Path) -> None:
    page = page_of(tmp_path, a_report(threshold=0.5))
    assert (
        "With a threshold of 0.5000, 75 % of the pairs of the same person are recognised, and "
        "25 % of the pairs of different people are taken for one person." in page
    )


def test_the_table_has_the_operating_points(tmp_path: Path) -> None:
    page = page_of(tmp_path, a_report(threshold=0.75, fars=(0.5, 0.25, 0.01)))
    assert rows_of(page)[:5] == [
        ["the threshold that is proposed", "0.7500", "0 %", "50 %"],
        ["equal error rate", "0.5000", "25 %", "75 %"],
        ["false accepts at most 50 %", "0.1251", "50 %", "100 %"],  # just above 0.125
        ["false accepts at most 25 %", "0.3751", "25 %", "75 %"],
        [
            "false accepts at most 1 %",
            "not enough pairs: it takes 100 of different people, there are 4",
        ],
    ]
    assert "too few to tell a rate of false accepts below 25 %" in page


def test_without_rates_there_are_the_proposed_threshold_and_the_equal_error_rate(
    tmp_path: Path,
) -> None:
    page = page_of(tmp_path, a_report(fars=()))
    assert [row[0] for row in rows_of(page)[1:3]] == ["equal error rate", "people"]


def test_a_rate_that_cannot_be_is_refused_and_no_page_is_there(tmp_path: Path) -> None:
    with pytest.raises(MetricsError, match="`far` must be in"):
        page_of(tmp_path, a_report(fars=(0,)))
    assert list(tmp_path.iterdir()) == []


def test_less_than_all_is_never_shown_as_100_percent(tmp_path: Path) -> None:
    page = page_of(tmp_path, a_report(same=[0.25, *[0.75] * 99_999]))
    assert rows_of(page)[0][-1] == "99.99 %"


@pytest.mark.parametrize(
    ("threshold", "shown"), [(0.3, "0.3000"), (0.30001, "0.3001"), (0.29999, "0.3000")]
)
def test_a_threshold_is_rounded_so_that_no_more_is_accepted(
    threshold: float, shown: str, tmp_path: Path
) -> None:
    assert rows_of(page_of(tmp_path, a_report(threshold=threshold)))[0][1] == shown


def test_it_tells_what_was_compared_and_what_was_not(tmp_path: Path) -> None:
    report = a_report(n_pictures=1_234, rejected={"corrupt": 2, "blinking": 1_000})
    assert rows_of(page_of(tmp_path, report))[-7:] == [
        ["people", "3"],
        ["pictures compared", "1,234"],
        ["pictures rejected", "1,002"],
        ["pairs of the same person", "4"],
        ["pairs of different people", "4"],
        ["corrupt", "2", "The file is damaged or cut short."],
        ["blinking", "1,000", ""],
    ]


def test_without_rejected_pictures_there_is_no_table_of_them(tmp_path: Path) -> None:
    page = page_of(tmp_path, a_report())
    assert "<h2>Rejected pictures</h2>" not in page
    assert '<dl class="facts">' not in page


def test_facts_are_told(tmp_path: Path) -> None:
    page = page_of(tmp_path, a_report(facts={"model": "a model"}))
    assert "<dt>model</dt><dd>a model</dd>" in page


def test_the_curve_is_made_of_steps_on_a_logarithmic_axis(tmp_path: Path) -> None:
    # from 10 % at 60 to 100 % at 700: 25 % is at 700 - 640 * 0.602, 50 % at 700 - 640 * 0.301;
    # upwards from 0 % at 300 to 100 % at 10: 50 % is at 155, 75 % at 82.5
    page = page_of(tmp_path, a_report())
    steps = "H314.7V155.0H314.7V82.5H507.3V82.5H507.3V10.0H620.0V10.0H700.0V10.0"
    assert path_of(page, "curve") == f"M60 155.0{steps}"
    assert "threshold 0.6250: 25 % false accepts, 50 % true accepts" in titles_of(page)


def test_the_proposed_threshold_is_a_point_of_the_curve(tmp_path: Path) -> None:
    page = page_of(tmp_path, a_report(threshold=0.5))
    assert '<circle class="chosen" cx="314.7" cy="82.5"' in page
    page = page_of(tmp_path, a_report(threshold=0.75))
    assert '<circle class="chosen" cx="60.0" cy="155.0"' in page, "no false accepts: at the end"


@pytest.mark.parametrize(
    ("n", "ticks"),
    [
        (4, ["100 %", "10 %"]),
        (50, ["100 %", "10 %", "2 %"]),
        (110, ["100 %", "10 %", "1 %"]),
        (1_000, ["100 %", "10 %", "1 %", "0.1 %"]),
        (20_000, ["100 %", "10 %", "1 %", "0.1 %", "0.01 %"]),
    ],
)
def test_the_axis_begins_where_rates_can_be_told(n: int, ticks: list[str], tmp_path: Path) -> None:
    page = page_of(tmp_path, a_report(different=[0.25] * n))
    labels = re.findall(r">([^<>]* %)</text>", page.split("<h2>ROC")[1])
    upwards = ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]
    assert labels == [*ticks, *upwards]


def test_the_axis_reaches_the_lowest_rate_that_is_asked_for(tmp_path: Path) -> None:
    page = page_of(tmp_path, a_report(different=[0.25] * 20_000, fars=(2e-5,)))
    assert ">0.005 %</text>" in page, "with 20,000 pairs 0.002 % cannot be told"


def test_the_scores_of_both_kinds_are_histograms(tmp_path: Path) -> None:
    # 25 bins of 0.02 from 0 to 0.5, each 25.6 wide
    page = page_of(tmp_path, a_report(same=[0.01, 0.5], different=[0, 0.01], threshold=0.25))
    assert path_of(page, "different").startswith("M60 300V10.0H85.6V300.0H111.2V300.0")
    assert path_of(page, "same").startswith("M60 300V155.0H85.6V300.0H111.2V300.0")
    assert path_of(page, "same").endswith("H674.4V155.0H700.0V300Z")
    assert path_of(page, "threshold") == "M380.0 10V300"
    assert titles_of(page)[:2] == [
        "0.00 to 0.02: 1 pairs of the same person, 2 of different people",
        "0.48 to 0.50: 1 pairs of the same person, 0 of different people",
    ]


@pytest.mark.parametrize("score", [-1.0000001, -1, 0.5, 1, 1.0000001])
def test_equal_scores_give_a_page(score: float, tmp_path: Path) -> None:
    page = page_of(tmp_path, a_report(same=[score], different=[score], threshold=score))
    assert titles_of(page)[0].endswith("1 pairs of the same person, 1 of different people")


def test_a_threshold_beyond_the_scores_is_on_the_page(tmp_path: Path) -> None:
    page = page_of(tmp_path, a_report(same=[0.5], different=[0], threshold=0.9))
    assert path_of(page, "threshold") == "M700.0 10V300"


def test_many_pairs_give_a_small_page(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    same, different = (rng.normal(mean, 0.15, 20_000).clip(-1, 1).tolist() for mean in (0.6, 0.1))
    assert len(page_of(tmp_path, a_report(same, different))) < 120_000


class Elements(HTMLParser):
    """Collects the elements of a page, and whatever a browser would load or follow."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)
        names = ("src", "href", "srcset", "action", "data", "poster")
        self.addresses += [value or "" for name, value in attrs if name in names]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_no_script_no_other_file_and_no_network(tmp_path: Path) -> None:
    page = page_of(tmp_path, a_report(rejected={"corrupt": 1}, facts={"model": "a model"}))
    elements = Elements()
    elements.feed(page)
    assert elements.open == [], "each element is closed"
    assert elements.addresses == []
    assert "script" not in elements.tags
    assert not re.search(r"url\(|@import", page)
    assert "default-src 'none'" in page


def test_texts_are_shown_and_never_executed(tmp_path: Path) -> None:
    evil = '</title><img src=x onerror="alert(1)">'
    page = page_of(tmp_path, a_report(title=evil, rejected={evil: 1}, facts={evil: evil}))
    assert "<img" not in page
    assert page.count("onerror=&#34;") == 5
