"""What was recognised, what happened, how often, and what became of every image."""

import pytest
from playwright.sync_api import expect
from tests.browser.server import a_picture
from tests.browser.states import (
    START_MS,
    a_detection,
    a_learning,
    a_row,
    a_source,
    a_state,
    an_event,
    counts_of,
)
from tests.chromium import a_visit

ROWS = "#recognitions tbody tr"
MAX_ELEMENTS = 1_500
NOTE_WRITTEN = """
() => {
  window.written = [];
  const before = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (text, ...where) {
    window.written.push(text);
    return before.call(this, text, ...where);
  };
}
"""
WIDTHS = """
canvas => {
  const { data, width } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return [...document.querySelectorAll("#counts .swatch")].map(swatch => {
    const [r, g, b] = getComputedStyle(swatch).backgroundColor.match(/\\d+/g).map(Number);
    const columns = new Set();
    for (let i = 0; i < data.length; i += 4) {
      if (data[i] === r && data[i + 1] === g && data[i + 2] === b) columns.add((i / 4) % width);
    }
    return columns.size / width;
  });
}
"""


def test_counters_count(shown, page):
    shown.show(a_state(ledger={"read": 12, "recognised": 10, "rejected": 2}))
    expect(page.locator("#read")).to_have_text("12")
    expect(page.locator("#ledger-sum div")).to_have_text(
        ["read12", "recognised10", "rejected2", "skipped0"]
    )
    speed = {"now": 31.25, "times_ms": [START_MS, START_MS + 1000], "images_per_s": [None, 31.25]}
    latency = {"p50_ms": 22.5, "p99_ms": 1203, "n": 1000}
    ledger = {"read": 1200, "recognised": 1190, "skipped": 10, "total": 4800}
    shown.show(a_state(ledger=ledger, speed=speed, latency=latency))
    expect(page.locator("#read")).to_have_text("1,200 of 4,800")
    expect(page.locator("#read-note")).to_have_text("25 % done · 10 skipped")
    expect(page.locator("#progress-note")).to_have_text("1,200 of 4,800 images, 25 %")
    expect(page.locator("#speed")).to_have_text("31.3")
    expect(page.locator("#latency")).to_have_text("22.5 ms")
    expect(page.locator("#latency-note")).to_have_text(
        "half of the last 1,000 images took no longer; 99 of 100 no longer than 1.2 s"
    )
    shown.show(a_state(latency=latency | {"n": 1}))
    expect(page.locator("#latency-note")).to_have_text("of one image")


def test_what_was_recognised_last_is_on_top(shown, page):
    first = a_row(75, detections=[a_detection(), a_detection("person", 0.8, track_id=3)])
    shown.show(a_state(recognitions=[first]))
    expect(page.locator(ROWS)).to_have_text(["0:03.0street.mp475car 0.91person #3 0.80"])
    second = a_row(150, event_time_ms=3_725_400, detections=[])
    shown.show(a_state(recognitions=[second, first]))
    expect(page.locator(ROWS)).to_have_text(
        ["1:02:05.4street.mp4150nothing found", "0:03.0street.mp475car 0.91person #3 0.80"]
    )


def test_times_that_are_not_within_a_video_are_those_of_the_clock(browser, shown):
    shown.show(a_state(recognitions=[a_row(event_time_ms=START_MS)]))
    with a_visit(browser, shown.url, timezone_id="Asia/Tokyo") as visit:
        visit.page.clock.set_fixed_time(START_MS / 1000)
        visit.page.reload()
        expect(visit.page.locator(f"{ROWS} td").first).to_have_text("00:39:54")


def test_an_event_appears_and_says_what_happened(shown, page):
    shown.show(a_state(events=[an_event("appeared", 3, label="car", track_id=7)]))
    expect(page.locator(".event")).to_have_text(["appeared car #70:00.1 · track · street.mp4"])
    crossed = an_event("crossed", 50, label="car", track_id=7, zone="gate", direction="in")
    window = {"n_in": 3, "n_out": 1, "n_inside": 2, "window_start_ms": 0, "duration_ms": 4200}
    counted = an_event("counted", 60, zone="yard", **window)
    figures = an_event("trained2", 61, figures={"n_votes": 5.0, "similarity": 0.714})
    shown.show(a_state(events=[figures, counted, crossed]))
    expect(page.locator(".said")).to_have_text(
        [
            "votes 5, similarity 0.714",
            "yard · 3 in, 1 out, 2 inside · mean stay 4.2 s · 0:00 to 0:02",
            "car #7 · gate, in",
        ]
    )


def test_events_are_shown_by_kind(shown, page):
    events = [an_event(kind, i) for i, kind in enumerate(["left", "appeared", "left"])]
    shown.show(a_state(events=events))
    expect(page.locator(".event")).to_have_count(3)
    page.get_by_role("button", name="left").click()
    expect(page.locator(".kind")).to_have_text(["left", "left"])
    expect(page.locator("#events-note")).to_have_text("2 of the last 3")
    # when another one of that kind comes, it is among them
    shown.show(a_state(events=[an_event("left", 9), *events]))
    expect(page.locator(".kind")).to_have_text(["left"] * 3)
    page.get_by_role("button", name="all").click()
    expect(page.locator(".event")).to_have_count(4)


def test_a_page_that_is_paused_stands_still_and_its_filter_works(shown, page):
    shown.pictures |= {(0, 1): a_picture((9, 9, 9)), (0, 2): a_picture((9, 9, 9))}
    before = [an_event("left", 1), an_event("appeared", 2)]
    shown.show(a_state(sources=[a_source(1)], events=before, ledger={"read": 1}))
    expect(page.locator(".event")).to_have_count(2)
    page.wait_for_selector(".frame img")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused.")).to_be_visible()
    # when the run goes on and ends
    after = [an_event("left", 3), *before]
    next_state = a_state(status="ended", sources=[a_source(2)], events=after, ledger={"read": 2})
    shown.show(next_state)
    # then only its status changes
    expect(page.locator("#status")).to_have_text("Ended")
    expect(page.locator("#read")).to_have_text("1")
    expect(page.locator("#paused")).to_contain_text("the run is over")
    page.get_by_role("button", name="left").click()
    expect(page.locator(".event")).to_have_count(1)
    page.get_by_role("button", name="all").click()
    expect(page.locator(".event")).to_have_count(2)
    assert shown.asked == [(0, 1)]
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#read")).to_have_text("2")
    expect(page.locator(".event")).to_have_count(3)
    expect(page.get_by_text("Paused.")).to_be_hidden()
    page.wait_for_selector(".frame img[src*='v=2']")


def test_counts_are_drawn_and_told_in_a_table(shown, page):
    shown.show(a_state(counts=counts_of({"car": [3, 4], "person": [0, 2]}) | {"n_labels": 5}))
    expect(page.locator("#counts tbody tr")).to_have_text(["car74", "person22"])
    expect(page.locator("#counts caption")).to_have_text(
        "The 2 most frequent of 5 classes, objects"
    )
    expect(page.locator("#counts canvas")).to_be_visible()
    chart = page.locator("#counts-chart")
    expect(chart).to_have_attribute(
        "aria-label",
        "Objects of each class from 0:00 to 0:01: car, person. The table below has the numbers.",
    )
    shown.show(a_state(counts=counts_of({"car": [3, 4, 5]})))
    expect(page.locator("#counts tbody tr")).to_have_text(["car125"])


@pytest.mark.parametrize("start_ms", [0, 7_000, 1_262_304_000_000, START_MS // 1000 * 1000])
def test_pictures_of_one_second_are_one_pile_over_it(shown, page, start_ms):
    page.evaluate(NOTE_WRITTEN)
    shown.show(a_state(counts=counts_of({"car": [3], "person": [1]}, start_ms=start_ms)))
    expect(page.locator("#counts canvas")).to_be_visible()
    page.wait_for_function("() => window.written.length > 0")
    # then the axis has this second and the next, each once
    times = [text for text in page.evaluate("window.written") if ":" in text]
    assert 1 <= len(times) == len(set(times)) <= 2
    if start_ms == 7_000:
        assert times == ["0:07", "0:08"]
    # and the bars of both classes are as wide as the chart
    assert [width > 0.7 for width in page.locator("#counts canvas").evaluate(WIDTHS)] == [True] * 2


def test_the_colours_of_a_chart_are_those_of_the_boxes(shown, page):
    shown.pictures[0, 1] = a_picture((9, 9, 9))
    row = a_row(detections=[a_detection("person"), a_detection("car")])
    counts = counts_of({"car": [1], "person": [1]})
    shown.show(a_state(sources=[a_source(1, row=row)], counts=counts))
    page.wait_for_selector("rect.box")
    boxes = page.locator("rect.box").evaluate_all(
        "all => all.map(one => getComputedStyle(one).stroke)"
    )
    spots = page.locator("#counts .swatch").evaluate_all(
        "all => all.map(one => getComputedStyle(one).backgroundColor)"
    )
    # the best object lies on top: it is drawn last
    assert boxes == spots
    assert len(set(boxes)) == 2


def test_rejected_images_are_told_with_their_reasons(shown, page):
    reason = {"step": "decode", "reason": "corrupt", "meaning": "The file is damaged.", "n": 8}
    last = {
        "uri": "s3://photos/a.jpg",
        "step": "decode",
        "reason": "corrupt",
        "message": "cut at 2",
    }
    shown.show(
        a_state(ledger={"read": 8, "rejected": 8}, rejected={"reasons": [reason], "last": [last]})
    )
    expect(page.locator("#ledger-reasons tbody tr")).to_have_text(
        ["decodecorrupt8The file is damaged."]
    )
    expect(page.locator("#ledger-last tbody tr")).to_have_text(
        ["s3://photos/a.jpgdecode: corruptcut at 2"]
    )
    expect(page.locator("#ledger-none")).to_be_hidden()


def test_models_that_are_swapped_are_told(shown, page):
    old = {"step": "sort", "model": "birds", "version": "1", "since_ms": START_MS}
    shown.show(a_state(models=[old]))
    expect(page.locator("#model")).to_have_text("birds")
    shown.show(a_state(models=[old | {"version": "2"}, old]))
    expect(page.locator("#model-note")).to_contain_text("sort · version 2")
    expect(page.locator("#models tbody tr")).to_have_count(2)


def test_learning_is_there_only_where_something_learns(shown, page):
    shown.show(a_state())
    expect(page.locator("#status")).to_have_text("Running")
    expect(page.locator("#learning")).to_be_hidden()
    expect(page.get_by_role("link", name="Learning")).to_be_hidden()
    shown.show(a_state(learning=a_learning()))
    learning = page.locator("#learning")
    expect(learning.locator(".tiles li")).to_have_text(["window75.0 %of 500 images right"])
    expect(learning.locator("canvas")).to_have_count(2)
    expect(learning.locator(".legend").first).to_have_text(
        "window75.0 %a watched value has changed"
    )
    expect(learning.get_by_role("img", name="Accuracy")).to_have_attribute(
        "aria-label", "Accuracy over the number of images. At the end: window 75.0 %"
    )
    expect(learning.locator("tbody tr")).to_have_text(["2375.0 %yesbetter on the same images"])


def test_a_legend_tells_the_values_under_the_mouse(shown, page):
    shown.show(a_state(learning=a_learning()))
    legend = page.locator("#learning .legend").first
    expect(legend).to_contain_text("window75.0 %")
    # when the mouse is at a third of an axis that ends at 24 images
    plot = page.locator("#learning .u-over").first
    box = plot.bounding_box()
    plot.hover(position={"x": box["width"] / 3, "y": box["height"] / 2})
    expect(legend).to_contain_text("window50.0 %")
    page.mouse.move(5, 5)
    expect(legend).to_contain_text("window75.0 %")


def test_an_alarm_of_drift_is_a_notice_until_it_is_dismissed(shown, page):
    alarm = an_event("drifted", 100, step="test", reason="accuracy fell")
    shown.show(a_state(learning=a_learning(alarms=[alarm])))
    notice = page.locator("#drift")
    expect(notice).to_contain_text("A watched value has changed. test, 0:04.0: accuracy fell")
    notice.get_by_role("button", name="Dismiss").click()
    expect(notice).to_be_hidden()
    # when there is another one, it is told again
    newer = an_event("drifted", 200, step="test", reason="loss rose")
    shown.show(a_state(learning=a_learning(alarms=[newer, alarm])))
    expect(notice).to_contain_text("loss rose")
    expect(page.locator("#learning tbody tr")).to_have_count(3)


def test_focus_scrolling_and_selected_text_stay_while_lists_move(shown, page):
    rows = [a_row(i, detections=[a_detection(f"kind{i}")]) for i in range(60)]
    events = [an_event("left" if i % 2 else "appeared", i, label=f"kind{i}") for i in range(60)]
    shown.show(a_state(recognitions=rows[29::-1], events=events[49::-1]))
    expect(page.locator(ROWS)).to_have_count(30)
    page.get_by_role("button", name="left").focus()
    page.locator("#recognitions-scroll").evaluate("one => { one.scrollTop = 200 }")
    page.evaluate("window.scrollTo(0, 300)")
    page.get_by_text("kind20 0.91").evaluate("one => getSelection().selectAllChildren(one)")
    # when ten new ones come
    shown.show(a_state(recognitions=rows[39:9:-1], events=events[59:9:-1], ledger={"read": 60}))
    expect(page.locator("#read")).to_have_text("60")
    expect(page.locator(".event")).to_have_count(50)
    # then focus, places and selection are as before, and the table waits for the reader
    expect(page.get_by_role("button", name="left")).to_be_focused()
    assert page.evaluate("[window.scrollY, String(getSelection())]") == [300, "kind20 0.91"]
    assert page.locator("#recognitions-scroll").evaluate("one => one.scrollTop") == 200
    expect(page.locator("#recognitions-note")).to_have_text("stands still while you read")
    page.evaluate("getSelection().removeAllRanges()")
    expect(page.locator(ROWS).first).to_contain_text("kind39")


def test_a_list_stands_still_while_the_mouse_is_on_it(shown, page):
    events = [an_event("left", i, label=f"kind{i}") for i in range(3)]
    shown.show(a_state(events=events[:1]))
    expect(page.locator(".event")).to_have_count(1)
    page.locator("#events-scroll").hover()
    shown.show(a_state(events=events[1::-1]))
    expect(page.locator("#events-note")).to_have_text("stands still while you read")
    expect(page.locator(".event")).to_have_count(1)
    page.mouse.move(5, 5)
    expect(page.locator(".event")).to_have_count(2)


def test_a_page_does_not_grow_over_200_updates(shown, page):
    def update(number):
        rows = [
            a_row(number * 10 - i, detections=[a_detection(f"kind{(number + i) % 50}")] * 2)
            for i in range(10)
        ]
        sources = [
            a_source(number, slot=slot, row=rows[slot] | {"source_id": f"camera {slot}"})
            for slot in range(4)
        ]
        events = [an_event("left", number * 15 - i, label="car", track_id=i) for i in range(15)]
        counts = counts_of({f"kind{i}": [number, i] for i in range(8)}, start_ms=1000 * number)
        learning = a_learning(alarms=events[:20], published=events[:20])
        lists = {"recognitions": rows, "events": events, "counts": counts}
        shown.show(a_state(ledger={"read": number}, sources=sources, learning=learning, **lists))
        page.wait_for_function(f"() => document.getElementById('read').textContent === '{number}'")

    def kept():
        session = page.context.new_cdp_session(page)
        session.send("HeapProfiler.collectGarbage")
        session.send("Performance.enable")
        metrics = session.send("Performance.getMetrics")["metrics"]
        session.detach()
        found = {one["name"]: one["value"] for one in metrics}
        return found["Nodes"], found["JSEventListeners"]

    picture = a_picture((90, 90, 90), 64, 36)
    shown.pictures = {(slot, number): picture for slot in range(4) for number in range(1, 201)}
    for number in range(1, 31):
        update(number)
    nodes, listeners = kept()
    for number in range(31, 201):
        update(number)
    page.wait_for_timeout(200)
    assert page.evaluate("document.querySelectorAll('*').length") < MAX_ELEMENTS
    nodes_later, listeners_later = kept()
    assert nodes_later < 1.2 * nodes
    assert listeners_later < listeners + 20
