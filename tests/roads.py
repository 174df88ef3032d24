"""Models for roads that are there at once: the same car, light and sign in every picture."""

from pathlib import Path

from tests.classifiers import save_colour_classifier
from tests.detectors import always

__all__ = ["save_road_models"]

ROWS = (
    (0, 60, 40, 74, 0.9, 0),
    (10, 10, 20, 40, 0.8, 1),
    (60, 20, 80, 40, 0.7, 2),
)


def save_road_models(folder: Path) -> dict[str, str]:
    """Write a detector of input 100 x 100 and a classifier that names the strongest colour.

    Returns:
        The path of each model, by the option of `Drive`.
    """
    detector = always(folder, *ROWS, labels=("car", "traffic light", "traffic sign"))
    colours = save_colour_classifier(folder / "colours.onnx")
    return {"model": detector.path, "light_model": colours, "sign_model": colours}
