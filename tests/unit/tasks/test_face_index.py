"""Who is most like a face, among those in the index."""

import threading

import numpy as np
import pytest

from sightflow.errors import PipelineError
from sightflow.tasks.face_index import FaceIndex, Match

EAST, NORTH, WEST = np.array([[1, 0, 0], [0, 1, 0], [-1, 0, 0]], np.float32)


def an_index(**rows):
    index = FaceIndex()
    index.change(rows, version=1)
    return index


def unit(*numbers):
    vector = np.array(numbers, np.float32)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def people(n, width=192, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((n, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_an_empty_index_knows_nobody():
    assert FaceIndex().search(EAST[None]) == [Match(None, -1.0, -1.0)]


def test_the_most_alike_person_is_found_with_the_next_one():
    """The cosines of (3, 4) with east and north are 0.6 and 0.8."""
    index = an_index(a=("ann", EAST), b=("bob", NORTH))

    (match,) = index.search(unit(3, 4, 0)[None])

    assert match.person_id == "bob"
    assert match.similarity == pytest.approx(0.8, abs=1e-6)
    assert match.next_similarity == pytest.approx(0.6, abs=1e-6)


def test_another_picture_of_the_same_person_is_not_the_next_one():
    index = an_index(a=("ann", EAST), b=("ann", unit(3, 4, 0)), c=("bob", WEST))

    (match,) = index.search(EAST[None])

    assert (match.person_id, match.similarity, match.next_similarity) == ("ann", 1.0, -1.0)


def test_who_is_taken_out_is_found_no_more():
    index = an_index(a=("ann", EAST), b=("bob", NORTH))

    index.change({"a": None}, version=2)

    assert index.version == 2
    assert index.person_ids == {"bob"}
    assert index.search(EAST[None])[0].person_id == "bob"


def test_nothing_of_who_is_taken_out_stays_in_memory():
    index = an_index(a=("ann", EAST), b=("bob", NORTH))
    index.change({"a": None}, version=2)

    kept = [value for value in vars(index).values() if isinstance(value, np.ndarray)]
    assert not any((row == EAST).all() for array in kept if array.ndim == 2 for row in array)
    assert "ann" not in repr(index._state)


def test_a_face_that_is_not_there_can_be_taken_out():
    index = an_index(a=("ann", EAST))
    index.change({"x": None}, version=2)
    assert len(index) == 1


def test_a_row_with_a_known_key_replaces_the_one_before():
    index = an_index(a=("ann", EAST))
    index.change({"a": ("bob", NORTH)}, version=2)
    assert index.person_ids == {"bob"}
    assert len(index) == 1


def test_many_small_changes_give_the_same_as_one():
    faces = people(50)
    rows = {f"k{i}": (f"p{i % 20}", face) for i, face in enumerate(faces)}
    whole, grown = FaceIndex(), FaceIndex()
    whole.change(rows, version=1)
    for key, row in rows.items():
        grown.change({key: row}, version=1)

    queries = people(10, seed=1)
    assert grown.search(queries) == whole.search(queries)


@pytest.mark.parametrize("n", [1, 3, 40])
def test_a_face_has_the_same_answer_in_any_batch(n):
    faces = people(2_000)
    index = FaceIndex()
    index.change({f"k{i}": (f"p{i // 3}", face) for i, face in enumerate(faces)}, version=1)
    queries = people(n, seed=2)

    alone = [index.search(query[None])[0] for query in queries]

    assert index.search(queries) == alone


def test_it_finds_what_a_search_one_by_one_finds():
    faces, queries = people(500), people(20, seed=3)
    index = FaceIndex()
    index.change({f"k{i}": (f"p{i}", face) for i, face in enumerate(faces)}, version=1)

    expected = [f"p{max(range(500), key=lambda i: float(faces[i] @ q))}" for q in queries]

    assert [match.person_id for match in index.search(queries)] == expected


def test_embeddings_of_another_length_are_refused():
    index = an_index(a=("ann", EAST))
    with pytest.raises(PipelineError, match="the gallery has embeddings of 3 numbers; got 2"):
        index.search(unit(1, 0)[None])
    with pytest.raises(PipelineError, match="embeddings of 3 numbers; got 2"):
        index.change({"b": ("bob", unit(1, 0))}, version=2)


def test_searches_go_on_while_it_changes():
    """Each answer is that of one moment: a person is there with the right similarity, or gone."""
    faces = people(300)
    index = FaceIndex()
    index.change({f"k{i}": (f"p{i}", face) for i, face in enumerate(faces)}, version=0)
    stop, wrong = threading.Event(), []

    def search():
        while not stop.is_set():
            match = index.search(faces[:1])[0]
            if match.person_id == "p0" and match.similarity < 0.999:
                wrong.append(match)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for version in range(1, 200):
        index.change({"k0": None}, version=version)
        index.change({"k0": ("p0", faces[0])}, version=version)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong


def test_who_else_is_most_like_a_face_is_found_for_many_at_once():
    embeddings = people(40)
    names = [f"p{i // 2}" for i in range(40)]
    index = FaceIndex()
    rows = zip(names, embeddings, strict=True)
    index.change({str(i): row for i, row in enumerate(rows)}, version=1)

    found = index.most_alike_others(embeddings, names)

    cosines = embeddings @ embeddings.T
    for i, (name, similarity) in enumerate(found):
        others = [j for j in range(40) if names[j] != names[i]]
        best = max(others, key=lambda j, i=i: cosines[i, j])
        assert (name, similarity) == (names[best], pytest.approx(cosines[i, best], abs=1e-5))


def test_who_is_alone_is_like_nobody_else():
    index = an_index(a=("ann", unit(1, 0)))

    assert index.most_alike_others(unit(1, 0)[None], ["ann"]) == [(None, -1.0)]
    assert index.most_alike_others(unit(1, 0)[None], ["bob"]) == [("ann", 1.0)]
    assert FaceIndex().most_alike_others(unit(1, 0)[None], ["ann"]) == [(None, -1.0)]
