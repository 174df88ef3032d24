"""Everybody can read and use the page: by keyboard, on a phone, by ear, in the dark."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from tests.browser.server import a_picture
from tests.browser.states import (
    a_detection,
    a_face,
    a_learning,
    a_row,
    a_source,
    a_state,
    an_event,
    counts_of,
)
from tests.chromium import a_visit

WIDE = {"viewport": {"width": 1440, "height": 1000}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
HOSTILE = '<img src=x onerror="window.hacked = 1">'
LONG = "s3://cameras/" + "very-long-folder-name/" * 6 + "Überwachung-街の交差点-🚦-" * 4 + ".jpeg"

NAME = """
() => {
  const one = document.activeElement;
  if (one === document.body) return null;
  const style = getComputedStyle(one);
  const isSeen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  return [one.id || one.getAttribute("aria-label") || one.textContent.trim(), isSeen];
}
"""

CUT_OFF = """
width => [...document.querySelectorAll("main *")]
  .filter(one => one.checkVisibility() && !one.closest("svg, .uplot"))
  .filter(one => one.getBoundingClientRect().right > width + 1)
  .map(one => one.outerHTML.slice(0, 100)).slice(0, 5)
"""


def a_full_state(name="street.mp4", label="car", *, n=3, **more):
    """Return a state with something in every part: names and labels as given, lists of `n`."""
    row = a_row(
        source_id=name,
        uri=name,
        detections=[
            a_detection(label, track_id=3),
            a_detection("traffic light", state={"label": label, "score": 0.9}),
            a_detection("sign", sign={"label": label, "class_id": 1, "score": 0.9}),
        ],
        faces=[a_face(person_id=label, similarity=0.7), a_face(person_id=None, similarity=0.1)],
        classification=[{"label": label, "class_id": 1, "score": 0.9}],
        scene=[{"label": label, "score": 0.9}],
        measures=[{"name": label, "value": 1.5}],
    )
    event = {"label": label, "zone": label, "reason": label, "person_id": label, "uri": name}
    reason = {"step": label, "reason": label, "meaning": label, "n": 8}
    lost = {"uri": name, "step": label, "reason": label, "message": label}
    learning = a_learning(
        alarms=[an_event("drifted", reason=label)],
        tiles=[{"name": label, "value": label, "note": label}],
    )
    speed = {"now": 31.2, "times_ms": [0, 1000], "images_per_s": [30.0, 31.2]}
    state = {
        "run": {"name": name},
        "ledger": {"read": 1_204_331, "rejected": 8, "skipped": 8, "total": 9_999_999},
        "speed": speed,
        "latency": {"p50_ms": 22.5, "p99_ms": 90.1, "n": 1000},
        "models": [{"step": label, "model": name, "version": "0123456789ab", "since_ms": 0}],
        "sources": [a_source(slot=slot, row=row) for slot in range(min(n, 9))],
        "n_sources": n,
        "recognitions": [{**row, "sequence": i} for i in range(min(n, 30))],
        "events": [an_event(kind, i, **event) for i in range(n) for kind in ("left", label)],
        "rejected": {"reasons": [reason], "last": [lost] * min(n, 20)},
        "counts": counts_of({label: [3, 4], "person": [1, 2]}),
        "learning": learning,
    }
    return a_state(**state | more)


def fill(shown, state):
    shown.pictures |= {(slot, 1): a_picture((120, 130, 140)) for slot in range(9)}
    shown.show(state)


def is_full(page, n_pictures=3):
    expect(page.locator(".frame img")).to_have_count(n_pictures)


STATES = {
    "learning": a_full_state(),
    "no learning": a_full_state(learning=None),
    "failed": a_full_state(status="failed", message="the model is not there"),
}


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe_finds_nothing_wrong(browser, shown, size, colours):
    found = {}
    fill(shown, a_state(status="starting"))
    with a_visit(browser, shown.url, color_scheme=colours, **size) as visit:
        expect(visit.page.locator("#status")).to_have_text("Starting")
        found["nothing yet"] = problems(visit.page)
        for name, state in STATES.items():
            fill(shown, state)
            is_full(visit.page)
            expect(visit.page.locator("#status")).to_have_text(
                "Failed" if name == "failed" else "Running"
            )
            found[name] = problems(visit.page)
        visit.page.locator(".stage").first.click()
        found["enlarged"] = problems(visit.page)
    assert found == {name: [] for name in ("nothing yet", *STATES, "enlarged")}


def problems(page):
    """Return what axe finds: the rule, how bad it is, and where."""
    violations = Axe().run(page).response["violations"]
    return [
        (one["id"], one["impact"], [node["html"][:160] for node in one["nodes"]][:3])
        for one in violations
    ]


def test_everything_can_be_reached_by_keyboard_and_is_seen_to_be(shown, page):
    fill(shown, a_full_state())
    is_full(page)
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        if (now := page.evaluate(NAME)) is None:
            break
        reached.append(now)
    wanted = page.evaluate(
        """() => [...document.querySelectorAll("a[href], button, [tabindex='0']")]
          .filter(one => one.checkVisibility())
          .map(one => one.id || one.getAttribute("aria-label") || one.textContent.trim())"""
    )
    assert [name for name, _ in reached] == wanted
    assert len(wanted) >= 15
    assert [name for name, is_seen in reached if not is_seen] == []


def test_the_skip_link_leads_to_the_content(shown, page):
    shown.show(a_state())
    expect(page.locator("#status")).to_have_text("Running")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_links_lead_to_the_parts_of_the_page(shown, page):
    fill(shown, a_full_state())
    is_full(page)
    for name in ("Learning", "Pictures", "Events", "Recognitions", "Counts", "Ledger", "Models"):
        page.get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_in_viewport()


@pytest.mark.parametrize("label", ["car", LONG])
def test_a_narrow_page_does_not_scroll_sideways(browser, shown, label):
    fill(shown, a_full_state(LONG, label, n=25))
    with a_visit(browser, shown.url, viewport={"width": 1100, "height": 844}) as visit:
        is_full(visit.page, 9)
        for width in (1100, 800, 390, 320):
            visit.page.set_viewport_size({"width": width, "height": 844})
            assert visit.page.evaluate("document.scrollingElement.scrollWidth") <= width
            assert visit.page.evaluate(CUT_OFF, width) == []


def test_labels_on_a_phone_can_be_read(browser, shown):
    fill(shown, a_full_state())
    with a_visit(browser, shown.url, **PHONE) as visit:
        is_full(visit.page)
        heights = visit.page.locator(".plate").evaluate_all(
            "all => all.map(one => one.getBoundingClientRect().height)"
        )
    assert len(heights) >= 3
    assert min(heights) >= 17


@pytest.mark.parametrize("text", [HOSTILE, "__proto__", "constructor", "\u202eevil\u0000 \ufffd"])
def test_names_that_look_like_code_stay_text(shown, page, text):
    fill(shown, a_full_state(text, text, status="failed", message=text))
    is_full(page)
    page.locator(".stage").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 1 + 3  # the sign of the page, and the pictures
    expect(page.get_by_role("heading", level=1)).to_have_text(text, use_inner_text=False)
    for part in ("#failure", "#events", "#recognitions", "#counts", "#ledger", "#large", "#models"):
        shown_text = page.locator(part).evaluate("one => one.textContent")
        assert text in shown_text, part


def test_nothing_moves_by_itself_for_those_who_want_it_so(browser, shown):
    shown.show(a_state())
    moves = "() => getComputedStyle(document.getElementById('status'), '::before').animationName"
    with a_visit(browser, shown.url) as visit:
        expect(visit.page.locator("#status")).to_have_text("Running")
        assert visit.page.evaluate(moves) == "breathe"
    with a_visit(browser, shown.url, reduced_motion="reduce") as visit:
        expect(visit.page.locator("#status")).to_have_text("Running")
        assert visit.page.evaluate(moves) == "none"


def test_what_changes_all_the_time_is_not_said_aloud(shown, page):
    fill(shown, a_full_state())
    is_full(page)
    spoken = page.locator("[aria-live], [role=status], [role=alert], [role=log]").evaluate_all(
        "all => all.map(one => one.id)"
    )
    assert spoken == ["status", "failure", "lost", "drift", "paused"]


def test_tables_have_captions_and_charts_have_words(shown, page):
    fill(shown, a_full_state())
    is_full(page)
    tables = page.locator("table:visible")
    assert tables.count() == 7
    assert all(tables.locator("caption").all_inner_texts())
    pictures = page.locator("[role=img]").evaluate_all(
        "all => all.map(one => one.getAttribute('aria-label'))"
    )
    assert len(pictures) == 4
    assert all(pictures)
