"""Road signs of the Vienna Convention, as they stand in Germany, drawn as flat shapes."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from tools.roads import pictograms
from tools.roads.glyphs import word
from tools.roads.shapes import Disc, Fill, Line, Point, Shapes, inked, placed, regular, weighed

__all__ = ["SIGNS", "Board", "Sign", "draw"]


@dataclass(frozen=True)
class Board:
    """A sign: what it covers, and what is painted on it."""

    outline: Shapes
    shapes: Shapes
    """Painted one over the other; the first cover the outline."""


Draw: TypeAlias = Callable[[np.random.Generator], Board]


@dataclass(frozen=True)
class Sign:
    """A class of signs."""

    gtsrb: int | None
    """Number of the class in the German Traffic Sign Recognition Benchmark, if it is there."""
    draw: Draw
    """Draws one; no two are quite alike."""


def near(rng: np.random.Generator, value: float, part: float = 0.1) -> float:
    """Return a value that differs by a part of it at most."""
    return value * float(rng.uniform(1 - part, 1 + part))


def rounded(points: tuple[Point, ...], radius: float, ink: str) -> Shapes:
    """Return a polygon about the middle whose corners are round, and lie where they were."""
    inset = tuple(
        (x - radius * x / math.hypot(x, y), y - radius * y / math.hypot(x, y)) for x, y in points
    )
    return (Fill(inset, ink), Line((*inset, inset[0]), 2 * radius, ink))


def ring_board(rng: np.random.Generator, symbol: Shapes) -> Board:
    """Return a white circle with a red rim."""
    edge = rng.choice([0.0, 0.02, 0.05])
    inner = near(rng, 0.76, 0.06)
    discs = (Disc((0, 0), 1, "white"), Disc((0, 0), 1 - edge, "red"), Disc((0, 0), inner, "white"))
    return Board(discs[:1], (*discs, *symbol))


def blue_board(rng: np.random.Generator, symbol: Shapes) -> Board:
    """Return a blue circle with a thin white edge."""
    edge, symbol = rng.choice([0.03, 0.06, 0.09]), weighed(symbol, near(rng, 0.95, 0.2))
    discs = (Disc((0, 0), 1, "white"), Disc((0, 0), 1 - edge, "blue"))
    return Board(discs[:1], (*discs, *placed(symbol, scale=_size(rng, 0.72))))


def end_board(rng: np.random.Generator, symbol: Shapes) -> Board:
    """Return a white circle with something grey that is crossed out."""
    edge = (Disc((0, 0), 1, "white"), Disc((0, 0), 0.97, str(rng.choice(["grey", "black"]))))
    face = Disc((0, 0), near(rng, 0.93, 0.03), "white")
    return Board(edge[:1], (*edge, face, *inked_but_white(symbol, "grey"), *_stripes(rng)))


def triangle_board(rng: np.random.Generator, symbol: Shapes) -> Board:
    """Return a white triangle with a red rim, one corner at the top."""
    middle, size = near(rng, 0.27, 0.15), near(rng, 0.46, 0.12)
    symbol = weighed(symbol, near(rng, 1.0, 0.25))
    return Board(*_triangle(rng, placed(symbol, (0, middle), (size, near(rng, size, 0.08)))))


def yield_board(rng: np.random.Generator) -> Board:
    """Return a triangle that stands on its tip."""
    return Board(*(placed(shapes, scale=(1, -1)) for shapes in _triangle(rng, ())))


def _triangle(rng: np.random.Generator, symbol: Shapes) -> tuple[Shapes, Shapes]:
    radius, edge = near(rng, 0.09, 0.3), rng.choice([0.02, 0.05, 0.08])
    rim = near(rng, 0.3, 0.15)

    def at(size: float, ink: str, radius: float) -> Shapes:
        """Return the triangle with its middle of gravity where it was."""
        points = tuple((x * size, y * size) for x, y in regular(3, 1.155, -90))
        return placed(rounded(points, radius, ink), (0, 0.289))

    outline = at(1.0, "white", radius)
    red = at(1.0 - edge, "red", radius)
    face = at(1.0 - edge - rim, "white", 0.03)
    return outline, (*outline, *red, *face, *symbol)


def _stripes(rng: np.random.Generator) -> Shapes:
    """Return what crosses out: five thin lines, or one broad one."""
    width, n = near(rng, 0.32, 0.25), 5
    if rng.random() < 0.4:
        return (_slash(0.0, width * 0.8, "grey"),)
    white = _slash(0.0, width, "white")
    lines = (_slash((i / (n - 1) - 0.5) * width, 0.7 * width / n, "black") for i in range(n))
    return (white, *lines)


def _slash(offset: float, width: float, ink: str) -> Line:
    """Return a line from the lower left to the upper right, within the circle."""
    reach = math.sqrt(max(0.86 - offset**2, 0.01)) * math.sqrt(0.5)
    shift = offset * math.sqrt(0.5)
    return Line(((shift - reach, shift + reach), (shift + reach, shift - reach)), width, ink)


def inked_but_white(shapes: Shapes, ink: str) -> Shapes:
    """Return shapes in one ink, but what is white stays so."""
    return tuple(s if s.ink == "white" else inked((s,), ink)[0] for s in shapes)


def _size(rng: np.random.Generator, size: float) -> Point:
    return near(rng, size, 0.08), near(rng, size, 0.08)


def number(rng: np.random.Generator, text: str) -> Shapes:
    """Return the number of a limit."""
    wide = {1: 0.46, 2: 0.48, 3: 0.39}[len(text)]
    return word(
        text,
        height=near(rng, 0.78 if len(text) < 3 else 0.74, 0.14),
        width=near(rng, wide, 0.12),
        weight=near(rng, 0.15 if len(text) < 3 else 0.13, 0.28),
        gap=near(rng, 0.08, 0.5),
    )


def _limit(text: str) -> Draw:
    return lambda rng: ring_board(rng, number(rng, text))


def _warning(*symbols: Shapes, mirrored: float = 0.0) -> Draw:
    """Draw a triangle with one of some symbols; a part of them is mirrored."""

    def draw_one(rng: np.random.Generator) -> Board:
        symbol = symbols[int(rng.integers(len(symbols)))]
        flip = -1 if rng.random() < mirrored else 1
        return triangle_board(rng, placed(symbol, scale=(flip, 1)))

    return draw_one


def _blue(symbol: Shapes, flip: int = 1) -> Draw:
    return lambda rng: blue_board(rng, placed(symbol, scale=(flip, 1)))


def _overtaking(rng: np.random.Generator, *, lorry: bool) -> Shapes:
    """Return two vehicles side by side, the left one red."""
    x, size = near(rng, 0.35, 0.08), near(rng, 0.3, 0.1)
    left = inked_but_white(pictograms.LORRY if lorry else pictograms.CAR, "red")
    raised = -0.08 if lorry else 0.0
    return (
        *placed(left, (-x, raised), (size, near(rng, size, 0.15))),
        *placed(pictograms.CAR, (x, 0.04), (size, near(rng, size, 0.15))),
    )


def _no_overtaking(*, lorry: bool) -> Draw:
    return lambda rng: ring_board(rng, _overtaking(rng, lorry=lorry))


def _end_of_no_overtaking(*, lorry: bool) -> Draw:
    return lambda rng: end_board(rng, placed(_overtaking(rng, lorry=lorry), scale=_size(rng, 1.15)))


def _no_lorries(rng: np.random.Generator) -> Board:
    return ring_board(rng, placed(pictograms.LORRY_SIDE, scale=_size(rng, 0.56)))


def _roundabout(rng: np.random.Generator) -> Board:
    turned, radius = rng.uniform(-25, 25), near(rng, 0.8, 0.12)
    return blue_board(rng, pictograms.roundabout(turned, radius))


def _no_entry(rng: np.random.Generator) -> Board:
    edge = rng.choice([0.0, 0.03, 0.06])
    discs = (Disc((0, 0), 1, "white"), Disc((0, 0), 1 - edge, "red"))
    x, y = near(rng, 0.72, 0.08), near(rng, 0.16, 0.2)
    bar = Fill(((-x, -y), (x, -y), (x, y), (-x, y)), "white")
    return Board(discs[:1], (*discs, bar))


def _stop(rng: np.random.Generator) -> Board:
    outer = regular(8, 1 / math.cos(math.pi / 8), 22.5)
    edge = near(rng, 0.06, 0.4)
    inner = tuple((x * (1 - edge), y * (1 - edge)) for x, y in outer)
    text = word("STOP", height=near(rng, 0.68, 0.12), width=near(rng, 0.34, 0.08),
                weight=near(rng, 0.17, 0.2), gap=near(rng, 0.08, 0.3), ink="white")  # fmt: skip
    return Board((Fill(outer, "white"),), (Fill(outer, "white"), Fill(inner, "red"), *text))


def _priority_road(rng: np.random.Generator) -> Board:
    inner = near(rng, 0.6, 0.12)
    outline = rounded(regular(4, 1.05), 0.08, "white")
    edge = (*rounded(regular(4, 1.0), 0.06, "black"), *rounded(regular(4, 0.96), 0.06, "white"))
    shapes = (*outline, *(edge if rng.random() < 0.7 else ()))
    return Board(outline, (*shapes, *rounded(regular(4, inner), 0.05, "yellow")))


def _crosswalk(rng: np.random.Generator) -> Board:
    """Return the blue square with a white triangle, in which somebody walks over stripes."""
    outline = rounded(((-1, -1), (1, -1), (1, 1), (-1, 1)), 0.12, "white")
    edge = rng.choice([0.0, 0.04])
    blue = placed(rounded(((-1, -1), (1, -1), (1, 1), (-1, 1)), 0.12, "blue"),
                  scale=(1 - edge, 1 - edge))  # fmt: skip
    wide, base = near(rng, 0.85, 0.08), near(rng, 0.58, 0.12)
    triangle = Fill(((0.0, near(rng, -0.82, 0.06)), (wide, base), (-wide, base)), "white")
    flip = -1 if rng.random() < 0.5 else 1
    size = near(rng, 0.48, 0.08)
    walker = placed(pictograms.WALKER, (0.0, base - 0.1 - size), (flip * size * 0.95, size))
    stripes = tuple(
        Line(((x - 0.04, base - 0.03), (x + 0.04, base - 0.18)), 0.13)
        for x in np.linspace(-0.62, 0.62, int(rng.integers(4, 7))).tolist()
    )
    return Board(outline, (*outline, *blue, triangle, *stripes, *walker))


def _limits() -> Mapping[str, Sign]:
    numbers = {20: 0, 30: 1, 50: 2, 60: 3, 70: 4, 80: 5, 100: 7, 120: 8}
    every = (10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130)
    return {f"speed limit {n}": Sign(numbers.get(n), _limit(str(n))) for n in every}


def _end_of_80(rng: np.random.Generator) -> Board:
    return end_board(rng, placed(number(rng, "80"), scale=_size(rng, 1.1)))


SIGNS: Mapping[str, Sign] = MappingProxyType(
    {
        **_limits(),
        "end of speed limit 80": Sign(6, _end_of_80),
        "no overtaking": Sign(9, _no_overtaking(lorry=False)),
        "no overtaking by lorries": Sign(10, _no_overtaking(lorry=True)),
        "right of way at the next crossing": Sign(11, _warning(pictograms.PRIORITY)),
        "priority road": Sign(12, _priority_road),
        "yield": Sign(13, yield_board),
        "stop": Sign(14, _stop),
        "no vehicles": Sign(15, lambda rng: ring_board(rng, ())),
        "no lorries": Sign(16, _no_lorries),
        "no entry": Sign(17, _no_entry),
        "danger": Sign(18, _warning(pictograms.EXCLAMATION)),
        "bend to the left": Sign(19, _warning(pictograms.BEND, mirrored=1.0)),
        "bend to the right": Sign(20, _warning(pictograms.BEND)),
        "double bend": Sign(
            21, _warning(pictograms.DOUBLE_BEND, pictograms.SHARP_BENDS, mirrored=0.25)
        ),
        "uneven road": Sign(22, _warning(pictograms.BUMPS)),
        "slippery road": Sign(23, _warning(pictograms.SLIPPERY)),
        "road narrows": Sign(24, _warning(pictograms.NARROWS, mirrored=0.25)),
        "road works": Sign(25, _warning(pictograms.WORKER, mirrored=0.1)),
        "traffic lights ahead": Sign(26, _warning(pictograms.LIGHTS, pictograms.LIGHTS_IN_A_CASE)),
        "pedestrians": Sign(27, _warning(pictograms.WALKER, mirrored=0.25)),
        "children": Sign(28, _warning(pictograms.CHILDREN, mirrored=0.25)),
        "cyclists": Sign(29, _warning(pictograms.BICYCLE, mirrored=0.3)),
        "snow or ice": Sign(30, _warning(pictograms.SNOWFLAKE)),
        "wild animals": Sign(31, _warning(pictograms.DEER, mirrored=0.25)),
        "end of all limits": Sign(32, lambda rng: end_board(rng, ())),
        "turn right": Sign(33, _blue(pictograms.TURN_RIGHT)),
        "turn left": Sign(34, _blue(pictograms.TURN_RIGHT, -1)),
        "straight ahead": Sign(35, _blue(pictograms.STRAIGHT)),
        "straight or right": Sign(36, _blue(pictograms.STRAIGHT_OR_RIGHT)),
        "straight or left": Sign(37, _blue(pictograms.STRAIGHT_OR_RIGHT, -1)),
        "keep right": Sign(38, _blue(pictograms.KEEP_RIGHT)),
        "keep left": Sign(39, _blue(pictograms.KEEP_RIGHT, -1)),
        "roundabout": Sign(40, _roundabout),
        "end of no overtaking": Sign(41, _end_of_no_overtaking(lorry=False)),
        "end of no overtaking by lorries": Sign(42, _end_of_no_overtaking(lorry=True)),
        "pedestrian crossing": Sign(None, _crosswalk),
    }
)
"""Every class that is drawn, by its label."""


def draw(label: str, rng: np.random.Generator) -> Board:
    """Return a sign of a class, with its draws from `rng`."""
    return SIGNS[label].draw(rng)
