"""docs/how-to/registry.md prints and leaves on disk what it says."""

from tests.docs.pages import ROOT, blocks, table

PAGE = "docs/how-to/registry.md"


def test_what_the_page_prints_is_true(place, capsys):
    code = "".join(block.text for block in blocks("python", ROOT / PAGE))
    exec(code, {})
    assert capsys.readouterr().out == "".join(b.text for b in blocks("text", ROOT / PAGE))


def test_the_files_of_a_registry_are_those_of_the_page(place):
    exec("".join(block.text for block in blocks("python", ROOT / PAGE)), {})
    shown = {row[0].replace("NAME", "gates") for row in table(PAGE, "What is there")}
    root = place / "models"
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    first = {path for path in found if "00000002" not in path}
    assert first == shown - {"gates/versions/00000001/claim"}
