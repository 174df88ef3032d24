"""The models that ship, and the versions in a registry, as tables."""

from datetime import datetime, timezone
from typing import Any

from sightflow.errors import RegistryError
from sightflow.models.files import zoo, zoo_names
from sightflow.models.registry import Registry
from sightflow.models.versions import Version

__all__ = ["COLUMNS", "VERSION_COLUMNS", "as_text", "list_models", "list_versions"]

COLUMNS = ("name", "version", "task", "input", "licence", "sha256", "measured")
VERSION_COLUMNS = (
    "name", "version", "serving", "metrics", "run", "step", "samples", "parent", "images",
    "created",
)  # fmt: skip


def list_models() -> list[dict[str, str]]:
    """Return a row for each model in the zoo, with `COLUMNS` as keys."""
    rows = []
    for name in zoo_names():
        card = zoo(name).card
        height, width = card.input.preprocess.size or ("H", "W")
        measured = [f"{m['metric']} {m['value']} on {m['data']}" for m in card.measured]
        rows.append(
            {
                "name": name,
                "version": card.version or "",
                "task": card.task,
                "input": f"{width} x {height} {card.input.preprocess.channels}",
                "licence": card.licence,
                "sha256": card.sha256 or "",
                "measured": "; ".join(measured),
            }
        )
    return rows


def list_versions(url: str) -> list[dict[str, Any]]:
    """Return a row for each version in a registry, with `VERSION_COLUMNS` as keys.

    Raises:
        RegistryError: nothing is published there.
    """
    registry = Registry(url)
    rows = []
    for name in registry.names():
        serving = registry.serving(name)
        number = None if serving is None else serving.number
        rows += [_row(name, version, number) for version in registry.versions(name)]
    if not rows:
        raise RegistryError(f"registry {url}: no model is published there; check the path")
    return rows


def as_text(row: dict[str, Any]) -> list[str]:
    """Return the cells of a row of `list_versions`, for people."""
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in row["metrics"].items())
    shown = {**row, "metrics": metrics, "serving": "yes" if row["serving"] else ""}
    return ["" if shown[key] is None else str(shown[key]) for key in VERSION_COLUMNS]


def _row(name: str, version: Version, serving: int | None) -> dict[str, Any]:
    facts = version.facts
    created = datetime.fromtimestamp(version.created_time_ms / 1000, timezone.utc)
    return {
        "name": name,
        "version": version.number,
        "serving": version.number == serving,
        "metrics": dict(facts.metrics),
        "run": facts.run_id,
        "step": facts.step,
        "samples": facts.n_samples,
        "parent": facts.parent,
        "images": facts.data.n_images,
        "created": created.strftime("%Y-%m-%d %H:%M:%SZ"),
    }
