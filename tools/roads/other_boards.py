"""Boards at the road that are none of the signs that have a class."""

from collections.abc import Sequence

import numpy as np

from tools.roads import pictograms
from tools.roads.draw_signs import (
    Board,
    blue_board,
    end_board,
    near,
    number,
    ring_board,
    rounded,
    triangle_board,
    yield_board,
)
from tools.roads.glyphs import GLYPHS, word
from tools.roads.shapes import Disc, Fill, Line, Shapes, arrow, box, inked, placed, regular

__all__ = ["draw_other"]

_INKS = ("blue", "yellow", "white", "green", "grey", "red")


def draw_other(rng: np.random.Generator) -> Board:
    """Return a board of any other kind."""
    kinds = (_panel, _panel, _ring, _ring, _triangle, _blue, _no_stopping, _back, _chevrons, _end)
    return kinds[int(rng.integers(len(kinds)))](rng)


def _text(rng: np.random.Generator, ink: str, length: int) -> Shapes:
    text = "".join(rng.choice(list(GLYPHS), length).tolist())
    wide = 1.6 / length
    return word(text, height=near(rng, min(1.3, 2.2 * wide), 0.2), width=0.8 * wide,
                weight=near(rng, 0.17, 0.2), gap=0.2 * wide, ink=ink)  # fmt: skip


def _panel(rng: np.random.Generator) -> Board:
    """Return a square or an oblong board with letters, an arrow or a strip on it."""
    tall = float(rng.uniform(0.35, 1.0)) if rng.random() < 0.5 else 1.0
    paper = str(rng.choice(_INKS))
    ink = "black" if paper in ("white", "yellow") else "white"
    outline = rounded(((-1, -tall), (1, -tall), (1, tall), (-1, tall)), 0.08, ink)
    face = placed(rounded(((-1, -tall), (1, -tall), (1, tall), (-1, tall)), 0.08, paper),
                  scale=(0.94, 0.94))  # fmt: skip
    symbols = (
        _text(rng, ink, int(rng.integers(1, 8))),
        inked(placed(arrow(((-0.8, 0), (0.8, 0)), 0.25, 0.5), scale=(-1, 1)), ink),
        inked(arrow(((-0.8, 0), (0.8, 0)), 0.25, 0.5), ink),
        (box(-0.12, -0.8, 0.12, 0.8, ink), box(-0.7, -0.55, 0.7, -0.3, "red")),
        placed(inked(pictograms.WALKER, ink), scale=(0.7, 0.8)),
        placed(inked(pictograms.BICYCLE, ink), scale=(0.8, 0.8)),
        (*word("P", height=1.4, width=0.8, weight=0.17, gap=0.0, ink=ink),),
        (),
    )
    symbol = symbols[int(rng.integers(len(symbols)))]
    return Board(outline, (*outline, *face, *placed(symbol, scale=(0.9, 0.9 * tall))))


def _ring(rng: np.random.Generator) -> Board:
    """Return a red rim around what is forbidden by signs without a class."""
    symbols: Sequence[Shapes] = (
        placed(pictograms.BICYCLE, scale=(0.5, 0.5)),
        placed(pictograms.WALKER, scale=(0.5, 0.55)),
        placed(pictograms.CAR, scale=(0.5, 0.5)),
        placed(pictograms.OTHERS["two ways"], scale=(0.5, 0.55)),
        placed(inked(pictograms.TURN_RIGHT, "black"), scale=(rng.choice([-0.5, 0.5]), 0.5)),
        number(rng, str(rng.choice(["5", "15"]))),
        (*placed(number(rng, str(rng.integers(2, 10))), (-0.2, 0), (0.8, 0.8)),
         *placed(number(rng, "7"), (0.3, 0.2), (0.5, 0.5))),
        (Line(((-0.6, 0), (0.6, 0)), 0.12), *placed(_text(rng, "black", 4), (0, 0.3), (0.5, 0.3))),
    )  # fmt: skip
    board = ring_board(rng, symbols[int(rng.integers(len(symbols)))])
    slash = (Line(((-0.6, -0.6), (0.6, 0.6)), 0.16, "red"),) if rng.random() < 0.2 else ()
    return Board(board.outline, (*board.shapes, *slash))


def _triangle(rng: np.random.Generator) -> Board:
    symbols = tuple(pictograms.OTHERS.values())
    if rng.random() < 0.1:
        return Board(yield_board(rng).outline, inked(yield_board(rng).shapes, "grey"))
    return triangle_board(rng, symbols[int(rng.integers(len(symbols)))])


def _blue(rng: np.random.Generator) -> Board:
    symbols = (
        placed(inked(pictograms.WALKER, "white"), scale=(0.8, 0.9)),
        placed(inked(pictograms.BICYCLE, "white"), scale=(0.9, 0.9)),
        inked(_text(rng, "white", 2), "white"),
        inked(placed(pictograms.CHILDREN, scale=(0.9, 0.9)), "white"),
    )
    return blue_board(rng, symbols[int(rng.integers(len(symbols)))])


def _no_stopping(rng: np.random.Generator) -> Board:
    discs = (Disc((0, 0), 1, "red"), Disc((0, 0), near(rng, 0.78, 0.05), "blue"))
    both = (
        Line(((-0.6, -0.6), (0.6, 0.6)), 0.2, "red"),
        Line(((0.6, -0.6), (-0.6, 0.6)), 0.2, "red"),
    )
    return Board(discs[:1], (*discs, *both[: int(rng.integers(1, 3))]))


def _back(rng: np.random.Generator) -> Board:
    """Return the back of a sign."""
    outlines: Sequence[Shapes] = (
        (Disc((0, 0), 1, "grey"),),
        rounded(regular(3, 1.1, -90), 0.1, "grey"),
        rounded(regular(8, 1.0, 22.5), 0.05, "grey"),
        rounded(regular(4, 1.0), 0.08, "grey"),
    )
    outline = outlines[int(rng.integers(len(outlines)))]
    bars = (box(-0.6, -0.45, 0.6, -0.35, "black"), box(-0.6, 0.35, 0.6, 0.45, "black"))
    return Board(outline, (*outline, *(bars if rng.random() < 0.5 else ())))


def _chevrons(rng: np.random.Generator) -> Board:
    """Return slanted or pointed stripes."""
    outline = (box(-1, -1, 1, 1, "white"),)
    pitch, bend = near(rng, 0.6, 0.3), float(rng.choice([-0.6, 0.0, 0.6]))
    slant = 0.0 if bend else float(rng.choice([-0.8, 0.8]))
    stripes = tuple(
        Fill(((x - slant, -1), (x + bend, 0), (x + slant, 1), (x + slant + pitch / 2, 1),
              (x + bend + pitch / 2, 0), (x - slant + pitch / 2, -1)), "red")
        for x in np.arange(-2, 2, pitch).tolist()
    )  # fmt: skip
    return Board(outline, (*outline, *stripes))


def _end(rng: np.random.Generator) -> Board:
    """Return the end of a limit that has no class, or of a priority road."""
    if rng.random() < 0.6:
        return end_board(rng, number(rng, str(rng.choice(["30", "50", "60", "70", "100", "120"]))))
    outline = rounded(regular(4, 1.05), 0.08, "white")
    face = rounded(regular(4, near(rng, 0.6)), 0.05, "yellow")
    cross = (Line(((-0.5, 0.5), (0.5, -0.5)), 0.25, "black"),)
    return Board(outline, (*outline, *face, *cross))
