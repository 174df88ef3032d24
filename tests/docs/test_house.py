"""Pages about the repository name what is in it: rooms, what comes from others, pictures, words."""

import ast
import re

from tests.docs.pages import ROOT, table


def test_contributing_has_every_room_in_the_order_of_the_import_rules():
    layers = re.search(r"^layers = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.M | re.S)
    rooms = re.findall(r"\w+", layers[1])
    shown = [
        room
        for _, cell in table("CONTRIBUTING.md", "Where things go")
        for room in re.findall(r"\w+", cell)
    ]
    assert sorted(shown) == sorted(rooms)
    assert len(rooms) >= 20
    floor = {
        room: i
        for i, line in enumerate(layers[1].splitlines())
        for room in re.findall(r"\w+", line)
    }
    assert [floor[room] for room in shown] == sorted(floor[room] for room in shown)


def test_third_party_names_every_file_that_is_no_source():
    package = ROOT / "src" / "sightflow"
    own = {".py", ".html", ".typed"}
    files = [
        str(path.relative_to(package))
        for path in package.rglob("*")
        if path.is_file()
        and path.suffix not in {*own, ".pyc"}
        and path.name != "card.yaml"
        and path.parent.name != "static"  # what the live page is made of, all of it our own
    ]
    shown = [row[0] for row in table("THIRD_PARTY.md", "In the package")]
    assert sorted(shown) == sorted(files)
    assert len(files) >= 6


def test_the_licence_is_the_whole_apache_licence():
    text = (ROOT / "LICENSE").read_text()
    assert "Version 2.0, January 2004" in text
    assert text.rstrip().endswith("limitations under the License.")
    assert len(text.splitlines()) == 201


def test_every_photograph_of_the_demo_has_author_and_licence():
    demo = ast.parse((ROOT / "examples" / "demo.py").read_text())
    photos = next(
        ast.literal_eval(node.value)
        for node in ast.walk(demo)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PHOTOS"
    )
    rows = table("docs/pictures.md", "The pictures of the demo")
    assert sorted(row[0] for row in rows) == sorted(photos)
    assert all(row[2] and row[3] for row in rows)


def test_the_glossary_is_sorted_and_has_a_line_for_each_word():
    words = [row[0].lower().replace("`", "") for row in table("docs/glossary.md", "Glossary")]
    assert words == sorted(words)
    assert len(set(words)) == len(words) >= 25
