"""The models that ship, as a table."""

from sightflow.models.files import zoo, zoo_names

__all__ = ["COLUMNS", "list_models"]

COLUMNS = ("name", "version", "task", "input", "licence", "sha256", "measured")


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
