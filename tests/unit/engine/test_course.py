"""The course of a training stays short, and its ends stay in it."""

from sightflow.engine.course import Course


def trained(step: int, name: str = "train") -> dict[str, object]:
    return {"kind": "trained", "step": name, "figures": {"step": step}}


def steps_of(course: Course, name: str = "train") -> list[int]:
    return [e["figures"]["step"] for e in course.events() if e["step"] == name]


def test_all_is_kept_while_it_is_little() -> None:
    course = Course(max_events=4)
    for step in range(4):
        course.add(trained(step))
    assert steps_of(course) == [0, 1, 2, 3]


def test_of_much_every_second_event_is_let_go_and_never_the_first_or_the_last() -> None:
    course = Course(max_events=4)
    for step in range(5):
        course.add(trained(step))
    assert steps_of(course) == [0, 2, 4]
    for step in range(5, 1_000):
        course.add(trained(step))
    assert steps_of(course)[0] == 0
    assert steps_of(course)[-1] == 999
    assert len(steps_of(course)) <= 4


def test_kinds_and_steps_do_not_crowd_each_other_out_and_stay_in_order() -> None:
    course = Course(max_events=4)
    course.add({"kind": "published", "step": "train", "figures": {"step": -1}})
    for step in range(100):
        course.add(trained(step, "other"))
    course.add(trained(7))
    events = course.events()
    assert events[0]["kind"] == "published"
    assert events[-1] == trained(7)
