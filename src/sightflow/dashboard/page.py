"""A page: a template of this room, filled in and written."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from sightflow.storage.drafts import replacing

__all__ = ["tile", "vendored", "write_page"]


def write_page(path: Path, template: str, **values: Any) -> None:
    """Write a page; it appears when it is complete.

    Args:
        path: the HTML file. What is no UTF-8 in a name is written as an escape.
        template: name of the template.
        values: what the template needs, by name.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sightflow.dashboard"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template(template).render(**values)
    with replacing(path) as draft:
        draft.write_text(page, "utf-8", "backslashreplace")


def vendored() -> dict[str, Markup]:
    """Return the library that draws charts, and its licence, for a template with charts.html."""
    folder = files("sightflow.dashboard") / "vendor"
    names = {
        "chart_code": "uPlot.iife.min.js",
        "chart_style": "uPlot.min.css",
        "licence": "uPlot.LICENSE",
    }
    return {key: Markup((folder / name).read_text("utf-8")) for key, name in names.items()}


def tile(name: str, value: str, note: str = "") -> dict[str, str]:
    """Return a figure that is seen first on a page."""
    return {"name": name, "value": value, "note": note}
