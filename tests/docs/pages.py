"""The pages of the documentation, taken apart: code blocks, tables, headings, links."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightflow import ModelFile

__all__ = ["PAGES", "ROOT", "Block", "anchors", "blocks", "links", "modules", "options", "table"]

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "THIRD_PARTY.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    """Of the first line of the text, from 1."""
    language: str
    text: str

    def __str__(self) -> str:
        """Return the place of the block."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def module(self) -> str | None:
        """Name of the file that the block is, when its first line is `# NAME.py`."""
        found = re.match(r"# (\w+)\.py\n", self.text)
        return found[1] if found else None


def blocks(language: str, page: Path | None = None) -> list[Block]:
    """Return the blocks in a language, of one page or of all."""
    found = []
    for path in PAGES if page is None else [page]:
        text = path.read_text("utf-8")
        for match in _FENCE.finditer(text):
            line = text.count("\n", 0, match.start(2)) + 1
            found.append(Block(path, line, match[1], match[2]))
    return [block for block in found if block.language == language]


def modules(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page that are files."""
    return (block for block in blocks("python", page) if block.module)


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text("utf-8"))


def links(page: Path) -> list[str]:
    """Return the targets of all links that stay in the repository."""
    found = _LINK.findall(_prose(page))
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    headings = _HEADING.findall(_prose(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def table(page: str, heading: str, *, number: int = 0) -> list[list[str]]:
    """Return the rows of a table below a heading, without its head; cells lose their backquotes."""
    text = (ROOT / page).read_text("utf-8")
    section = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.M | re.S)
    assert section, f"{page} has no heading {heading!r}"
    tables = re.findall(r"(?:^\|.*\|\n)+", section[1], re.MULTILINE)
    assert len(tables) > number, f"{page}, {heading!r}: has {len(tables)} tables"
    return [_cells(line) for line in tables[number].splitlines()[2:]]


def _cells(line: str) -> list[str]:
    cells = re.split(r"(?<!\\)\|", line)[1:-1]
    return [_plain(cell.strip()).replace("\\|", "|") for cell in cells]


def _plain(cell: str) -> str:
    found = re.fullmatch(r"(`+) ?([^`].*?) ?\1", cell)
    return found[2] if found and found[1] not in re.findall("`+", found[2]) else cell


def options(kind: Any) -> list[list[str]]:
    """Return name and default of each field of a dataclass, as a table shows them."""
    return [[field.name, _default(field)] for field in dataclasses.fields(kind) if field.init]


def _default(field: Any) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return _shown(field.default_factory())
    return "required" if field.default is dataclasses.MISSING else _shown(field.default)


def _kind_of(part: Any) -> dict[str, str]:
    return {"kind": type(part).__name__}


def _shown(value: Any) -> str:
    """Return a default as YAML has it."""
    if isinstance(value, ModelFile):
        return value.reference
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping) or dataclasses.is_dataclass(value):
        return "{}"
    if isinstance(value, tuple):
        return str([_kind_of(item) if dataclasses.is_dataclass(item) else item for item in value])
    return str(value) or "empty"
