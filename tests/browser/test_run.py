"""How a run is, and what the page says when it fails, is lost, or is another one."""

import pytest
from playwright.sync_api import expect
from tests.browser.server import a_picture
from tests.browser.states import START_MS, a_learning, a_row, a_source, a_state, an_event
from tests.chromium import a_visit


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("starting", "Starting"),
        ("running", "Running"),
        ("restarting", "Restarting"),
        ("stopping", "Stopping"),
        ("ended", "Ended"),
        ("stopped", "Stopped"),
    ],
)
def test_name_and_status_of_the_run_are_told(shown, page, status, word):
    run = {"name": "cameras.yaml", "workers": 1, "restarts": 3}
    shown.show(a_state(status=status, run=run))
    expect(page.get_by_role("heading", level=1)).to_have_text("cameras.yaml")
    expect(page.locator("#status")).to_have_text(word)
    expect(page).to_have_title(f"{word} · cameras.yaml")
    expect(page.locator("#facts")).to_contain_text("Flink, 1 worker ·")
    expect(page.locator("#facts")).to_contain_text("3 restarts")
    expect(page.locator("#failure")).to_be_empty()


def test_the_clock_goes_on_while_the_run_does(shown, page):
    shown.show(a_state())
    expect(page.locator("#facts")).to_contain_text("1 min 5 s")
    expect(page.locator("#facts")).to_contain_text("1 min 6 s")
    shown.show(a_state(status="ended", run={"now_ms": START_MS + 90_000}))
    expect(page.locator("#facts")).to_contain_text("1 min 30 s")
    page.wait_for_timeout(1_200)
    expect(page.locator("#facts")).to_contain_text("1 min 30 s")


def test_a_failure_is_shown_with_its_message(shown, page):
    shown.show(a_state(ledger={"read": 7}))
    expect(page.locator("#read")).to_have_text("7")
    message = "step 'detect': the model is not there\n  set `Detect(model=...)`"
    shown.show(a_state(status="failed", message=message, ledger={"read": 7}))
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("sightflow track has failed")
    expect(alert).to_contain_text("step 'detect': the model is not there set `Detect(model=...)`")
    expect(page.locator("#status")).to_have_text("Failed")
    expect(page.locator("#read")).to_have_text("7")


def test_before_anything_is_known_every_part_says_so(shown, page):
    shown.show(a_state(status="starting"))
    expect(page.locator("#status")).to_have_text("Starting")
    words = page.locator("main").inner_text()
    assert "No picture yet." in words
    assert "No event yet." in words
    assert "No image has been recognised yet." in words
    assert "Nothing has been counted yet." in words
    assert "rejected." not in words
    assert "none rejected" not in words
    assert "No model is known yet." in words
    assert not {"undefined", "NaN", "null"} & set(words.replace(",", " ").split())


def test_a_connection_that_is_lost_is_told_and_all_stays_as_it_was(shown, visit, page):
    shown.pictures[0, 1] = a_picture((9, 9, 9))
    events = [an_event("left", label="car", track_id=1)]
    shown.show(a_state(sources=[a_source()], events=events, ledger={"read": 7}))
    page.wait_for_selector(".frame img")
    visit.may_lose_connection = True
    shown.stop()
    try:
        expect(page.locator("#lost")).to_contain_text("The connection is lost.")
        expect(page.locator("#status")).to_have_text("No connection")
        expect(page.locator("#read")).to_have_text("7")
        expect(page.locator(".event")).to_have_count(1)
        expect(page.locator(".frame img")).to_be_visible()
    finally:
        shown.start()
    # when the server is there again
    expect(page.locator("#lost")).to_be_empty()
    expect(page.locator("#status")).to_have_text("Running")
    expect(page.locator("#read")).to_have_text("7")


def test_another_run_at_the_same_address_begins_anew(shown, visit, page):
    shown.pictures |= {(0, 1): a_picture((250, 0, 0)), (1, 1): a_picture((250, 0, 0))}
    learning = a_learning(alarms=[an_event("drifted", reason="accuracy fell")])
    first = [an_event("left", label="car", track_id=1), an_event("appeared")]
    sources = [a_source(), a_source(slot=1)]
    shown.show(a_state(sources=sources, events=first, learning=learning))
    expect(page.locator(".frame img")).to_have_count(2)
    page.get_by_role("button", name="left").click()
    page.get_by_role("button", name="Pause").click()
    visit.may_lose_connection = True
    shown.stop()
    # when another run is there, whose first picture has the same slot and version
    shown.pictures = {(0, 1): a_picture((0, 0, 250))}
    second = [an_event("entered", zone="yard")]
    run = {"id": "2", "name": "sightflow drive"}
    source = a_source(row=a_row(4))
    shown.show(a_state(run=run, sources=[source], events=second))
    shown.start()
    expect(page.get_by_role("heading", level=1)).to_have_text("sightflow drive")
    expect(page.locator(".kind")).to_have_text(["entered"])
    expect(page.locator("#drift")).to_be_empty()
    expect(page.locator("#learning")).to_be_hidden()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.locator(".about .when")).to_have_text("0:00.1 · position 4 · 1280 × 720")
    assert shown.asked[2:] == [(0, 1)]


def test_a_run_that_is_over_has_not_lost_its_connection(shown, visit, page):
    shown.show(a_state(status="ended", ledger={"read": 7}))
    expect(page.locator("#status")).to_have_text("Ended")
    visit.may_lose_connection = True
    shown.stop()
    try:
        page.wait_for_timeout(1_500)  # it is tried again in that time
        expect(page.locator("#lost")).to_be_empty()
        expect(page.locator("#read")).to_have_text("7")
    finally:
        shown.start()


def test_a_page_that_breaks_its_rules_does_not_pass(browser, shown):
    add = "document.head.append(Object.assign(document.createElement('script'), { text: '1' }))"
    with (
        pytest.raises(pytest.fail.Exception, match="script-src"),
        a_visit(browser, shown.url) as visit,
    ):
        visit.page.evaluate(f"() => {{ {add}; }}")


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("Loading models ...", "No picture yet. Loading models ..."),
        (None, "No picture yet. It may take some seconds until the first one is there."),
    ],
)
def test_a_run_that_starts_says_what_is_waited_for(shown, page, stage, words):
    shown.show(a_state(status="starting", run={"stage": stage}))
    expect(page.locator("#pictures-none")).to_have_text(words)
    shown.show(a_state())
    expect(page.locator("#pictures-none")).to_contain_text("The last one of each source appears")


def test_a_run_that_stops_is_no_alarm(shown, page):
    shown.show(a_state(status="stopping"))
    status = page.locator("#status")
    expect(status).to_have_text("Stopping")
    stopping = status.evaluate("one => getComputedStyle(one).color")
    shown.show(a_state())
    expect(status).to_have_text("Running")
    assert stopping == status.evaluate("one => getComputedStyle(one).color")


@pytest.mark.parametrize("status", ["ended", "stopped", "failed"])
def test_a_run_that_is_over_cannot_be_paused(shown, page, status):
    shown.show(a_state())
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    shown.show(a_state(status=status))
    expect(page.locator("#status")).to_have_text(status.capitalize())
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    # when another run comes
    shown.show(a_state(run={"id": "2"}))
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


@pytest.mark.parametrize("lost", ["static/page.js", "static/counts.js", "vendor/*.js"])
def test_a_page_of_which_a_part_is_missing_says_so(shown, browser, lost):
    # given a command that ends after it has given the page, and before it gave all of its files
    page = browser.new_page()
    page.route(f"**/{lost}", lambda route: route.abort())
    try:
        page.goto(shown.url)
        expect(page.locator("#incomplete")).to_contain_text("This page did not load wholly")
        # when the command is there again
        page.unroute_all()
        shown.show(a_state())
        page.get_by_role("link", name="Load it again").click(timeout=10_000)
        expect(page.locator("#status")).to_have_text("Running")
        expect(page.locator("#incomplete")).to_have_count(0)
    finally:
        page.close()


def test_a_page_that_is_complete_says_nothing_of_parts(shown, page):
    expect(page.locator("#status")).to_have_text("Connecting")
    expect(page.locator("#incomplete")).to_have_count(0)
