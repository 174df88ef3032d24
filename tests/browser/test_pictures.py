"""The last picture of each source, with what was found drawn over it."""

import re

from playwright.sync_api import expect
from tests.browser.server import a_picture
from tests.browser.states import a_detection, a_face, a_row, a_source, a_state

GREY = (120, 120, 120)
WATCH = """
() => {
  window.pairs = [];
  const look = () => {
    const image = document.querySelector(".frame img");
    const label = document.querySelector(".frame")?.textContent;
    const place = document.querySelector(".about .when")?.textContent.split(" · ")[1];
    if (image) window.pairs.push([new URL(image.src).searchParams.get("v"), label, place]);
    requestAnimationFrame(look);
  };
  look();
}
"""
EDGES = """
all => all.map(one => one.getBoundingClientRect()).map(r => [r.left, r.top, r.right, r.bottom])
"""
HIDE = """
isHidden => {
  Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}
"""


def with_picture(version, **fields):
    found = {"detections": [a_detection(f"car{version}", 0.5)]} | fields
    return a_state(sources=[a_source(version, row=a_row(version, **found))])


def test_a_box_lies_where_the_object_is_in_the_picture(shown, page):
    # given a picture of 1280 x 720, of which the page gets one of 640 x 360
    shown.pictures[0, 1] = a_picture(GREY, 640, 360)
    box = [320.0, 180.0, 960.0, 540.0]
    shown.show(with_picture(1, detections=[a_detection(box_xyxy=box)]))
    page.wait_for_selector(".frame img")
    # when both are measured on the screen
    picture = page.locator(".frame img").bounding_box()
    (drawn,) = page.locator(".frame rect.box").evaluate_all(EDGES)
    # then the box begins at a quarter of the picture and ends at three quarters
    left, top = picture["x"], picture["y"]
    width, height = picture["width"], picture["height"]
    assert abs(width / height - 1280 / 720) < 0.01
    expected = [left + width / 4, top + height / 4, left + 3 * width / 4, top + 3 * height / 4]
    assert [abs(a - b) < 1.5 for a, b in zip(drawn, expected, strict=True)] == [True] * 4


def test_a_picture_and_its_boxes_change_together(shown, page):
    for version in range(1, 7):
        shown.pictures[0, version] = a_picture((30 * version, 90, 90))
    shown.show(with_picture(1))
    page.wait_for_selector(".frame img")
    page.evaluate(WATCH)
    # when each next picture takes a while to come
    shown.delay_s = 0.05
    for version in range(2, 7):
        shown.show(with_picture(version))
        expect(page.locator(".frame")).to_have_text(f"car{version} 0.50")
    # then at every moment picture, label and caption are of one version
    pairs = page.evaluate("window.pairs")
    assert {version for version, _, _ in pairs} == {"1", "2", "3", "4", "5", "6"}
    assert [
        (version, label, place)
        for version, label, place in pairs
        if (label, place) != (f"car{version} 0.50", f"position {version}")
    ] == []


def test_a_picture_that_has_gone_leaves_the_one_before_with_its_boxes(shown, page):
    shown.pictures[0, 1] = a_picture(GREY)
    shown.show(with_picture(1))
    page.wait_for_selector(".frame img")
    # when the state tells of a picture that the server has no more
    shown.show(with_picture(2))
    page.wait_for_function(
        "() => performance.getEntriesByType('resource').some(one => one.name.includes('v=2'))"
    )
    expect(page.locator(".frame")).to_have_text("car1 0.50")
    # then the next one is shown
    shown.pictures[0, 3] = a_picture(GREY)
    shown.show(with_picture(3))
    expect(page.locator(".frame")).to_have_text("car3 0.50")
    assert shown.asked == [(0, 1), (0, 2), (0, 3)]


def test_what_was_found_is_there_in_words(shown, page):
    shown.pictures[0, 1] = a_picture(GREY)
    light = a_detection("traffic light", state={"label": "red", "score": 0.97})
    found = {
        "detections": [a_detection(), a_detection(score=0.5), light],
        "faces": [a_face(person_id="Ann", similarity=0.71), a_face(person_id=None, similarity=0.2)],
        "classification": [
            {"label": "tabby", "class_id": 1, "score": 0.8},
            {"label": "lynx", "class_id": 2, "score": 0.0},
        ],
        "scene": [{"label": "street", "score": 0.83}],
        "measures": [{"name": "sharpness", "value": 12.345}],
    }
    shown.show(with_picture(1, **found))
    words = ["tabby 0.80", "scene: street 0.83", "Ann 0.71", "unknown 0.20", "2 × car"]
    words += ["traffic light: red 0.97", "sharpness 12.3"]
    expect(page.locator(".about .chip")).to_have_text(words)
    drawn = set(page.locator(".frame text").all_text_contents())
    assert {"tabby 0.80", "Ann 0.71", "traffic light: red 0.97"} <= drawn


def test_of_objects_that_are_followed_only_these_are_drawn(shown, page):
    shown.pictures[0, 1] = a_picture(GREY)
    detections = [a_detection(track_id=7), a_detection("bird", 0.2, track_id=None)]
    shown.show(with_picture(1, detections=detections, tracks=[a_detection(track_id=7)]))
    expect(page.locator(".frame text")).to_have_text(["car #7 0.91"])


def test_labels_do_not_lie_on_each_other(shown, page):
    shown.pictures[0, 1] = a_picture(GREY)
    crowd = [
        a_detection("person", box_xyxy=[300.0 + 8 * i, 300, 360 + 8 * i, 420]) for i in range(30)
    ]
    shown.show(with_picture(1, detections=crowd))
    page.wait_for_selector(".plate")
    plates = page.locator(".plate").evaluate_all(EDGES)
    assert page.locator("rect.box").count() == 30
    assert 2 <= len(plates) < 30
    overlapping = [
        (a, b)
        for i, a in enumerate(plates)
        for b in plates[:i]
        if min(a[2], b[2]) - max(a[0], b[0]) > 0.1 and min(a[3], b[3]) - max(a[1], b[1]) > 0.1
    ]
    assert overlapping == []


def test_each_stream_has_a_card_in_a_fixed_order(shown, page):
    rows = [a_row(source_id=name, uri=name) for name in ("gate", "yard", "door")]
    for slot in range(3):
        shown.pictures[slot, 1] = a_picture(GREY)
    sources = [a_source(slot=slot, row=row) for slot, row in enumerate(rows)]
    shown.show(a_state(sources=sources[::-1], n_sources=12))
    expect(page.locator(".picture h3")).to_have_text(["gate", "yard", "door"])
    expect(page.locator("#pictures-note")).to_have_text("the last 3 of 12 sources")
    # when one is there no more, its card goes
    shown.show(a_state(sources=sources[:2]))
    expect(page.locator(".picture h3")).to_have_text(["gate", "yard"])


def test_a_picture_is_enlarged_by_enter_goes_on_moving_and_gives_focus_back(shown, page):
    shown.pictures |= {(0, 1): a_picture(GREY), (0, 2): a_picture(GREY)}
    shown.show(with_picture(1))
    page.wait_for_selector(".frame img")
    page.get_by_role("button", name="Enlarge the picture of street.mp4").focus()
    page.keyboard.press("Enter")
    large = page.get_by_role("dialog", name="street.mp4")
    expect(large.locator(".frame img")).to_be_visible()
    expect(large.locator("tbody tr")).to_have_text([re.compile("car1.*0.50.*100.*100.*200 × 100")])
    shown.show(with_picture(2))
    expect(large.locator(".frame")).to_have_text("car2 0.50")
    expect(large.locator("tbody tr")).to_have_text([re.compile("car2")])
    page.keyboard.press("Escape")
    expect(large).to_be_hidden()
    expect(page.locator(".picture .frame")).to_have_text("car2 0.50")
    expect(page.get_by_role("button", name="Enlarge")).to_be_focused()


def test_a_hidden_page_asks_for_no_picture(shown, page):
    shown.pictures |= {(0, 1): a_picture(GREY), (0, 3): a_picture(GREY)}
    shown.show(with_picture(1))
    page.wait_for_selector(".frame img")
    page.evaluate(HIDE, True)
    shown.show(with_picture(2))
    page.wait_for_timeout(200)
    shown.show(a_state(status="restarting", sources=with_picture(3)["sources"]))
    expect(page).to_have_title("Restarting · sightflow track")
    assert shown.asked == [(0, 1)]
    # when it is seen again, it shows what is newest
    page.evaluate(HIDE, False)
    expect(page.locator(".frame")).to_have_text("car3 0.50")
    assert shown.asked == [(0, 1), (0, 3)]
