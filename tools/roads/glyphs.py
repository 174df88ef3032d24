"""Digits and letters of road signs, as lines of one width."""

from collections.abc import Mapping
from types import MappingProxyType

from tools.roads.shapes import Line, Point, Shapes, arc

_ROUND = (*arc((0, -0.4), (1, 0.6), 180, 360), *arc((0, 0.4), (1, 0.6), 0, 180), (-1.0, -0.4))
_SIX = (*arc((0, -0.25), (1, 0.75), -35, -180), *arc((0, 0.4), (1, 0.6), 180, 540, 25))

GLYPHS: Mapping[str, tuple[tuple[Point, ...], ...]] = MappingProxyType(
    {
        "0": (_ROUND,),
        "1": (((-0.6, -0.5), (0.25, -1.0), (0.25, 1.0)),),
        "2": ((*arc((0, -0.45), (0.95, 0.55), 190, 395), (-1.0, 1.0), (1.0, 1.0)),),
        "3": (
            arc((0, -0.5), (0.85, 0.5), 200, 450),
            arc((0, 0.48), (1, 0.52), 270, 515),
        ),
        "4": (((0.1, -1.0), (-1.0, 0.5), (1.0, 0.5)), ((0.45, -0.1), (0.45, 1.0))),
        "5": (
            (
                (0.85, -1.0),
                (-0.75, -1.0),
                (-0.85, 0.0),
                *arc((0, 0.36), (1, 0.64), 220, 505),
            ),
        ),
        "6": (_SIX,),
        "7": (((-1.0, -1.0), (1.0, -1.0), (-0.3, 1.0)),),
        "8": (
            arc((0, -0.5), (0.82, 0.5), 0, 360, 19),
            arc((0, 0.5), (1, 0.5), 0, 360, 19),
        ),
        "9": (tuple((-x, -y) for x, y in _SIX),),
        "S": (
            (
                *arc((0, -0.5), (0.95, 0.5), -20, -260),
                *arc((0, 0.5), (1, 0.5), -80, 160),
            ),
        ),
        "T": (((-1.0, -1.0), (1.0, -1.0)), ((0.0, -1.0), (0.0, 1.0))),
        "O": (_ROUND,),
        "P": (
            ((-1.0, 1.0), (-1.0, -1.0)),
            ((-1.0, -1.0), *arc((0.3, -0.42), (0.7, 0.58), 270, 450), (-1.0, 0.16)),
        ),
        "H": (((-1.0, -1.0), (-1.0, 1.0)), ((1.0, -1.0), (1.0, 1.0)), ((-1.0, 0.0), (1.0, 0.0))),
        "E": (((1.0, -1.0), (-1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)), ((-1.0, 0.0), (0.8, 0.0))),
        "N": (((-1.0, 1.0), (-1.0, -1.0), (1.0, 1.0), (1.0, -1.0)),),
    }
)


def word(
    text: str, *, height: float, width: float, weight: float, gap: float, ink: str = "black"
) -> Shapes:
    """Return a word about the middle.

    Args:
        text: of the characters in `GLYPHS`.
        height: of the characters.
        width: of one character; a 1 takes six tenths of it.
        weight: width of the lines, as a part of the height.
        gap: between two characters.
        ink: of the lines.
    """
    thick = weight * height
    widths = [width * (0.6 if char == "1" else 1.0) for char in text]
    x = -(sum(widths) + gap * (len(text) - 1)) / 2
    lines = []
    for char, wide in zip(text, widths, strict=True):
        half = (wide - thick) / 2, (height - thick) / 2
        for points in GLYPHS[char]:
            at = tuple((x + wide / 2 + half[0] * px, half[1] * py) for px, py in points)
            lines.append(Line(at, thick, ink))
        x += wide + gap
    return tuple(lines)
