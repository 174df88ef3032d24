"""Points beside lines and in polygons, in pixels with y downwards."""

import numpy as np
import numpy.typing as npt

__all__ = ["crosses", "distance_to_line", "distance_to_polygon"]

Points = npt.NDArray[np.float64]
Point = tuple[float, float]


def distance_to_line(points_xy: Points, start: Point, end: Point) -> npt.NDArray[np.float64]:
    """Return how far points are to the right of a line for someone who walks along it.

    Args:
        points_xy: float64 [N, 2] in pixels.
        start: where the walk begins.
        end: another point of the line.

    Returns:
        float64 [N] in pixels; negative on the left.

    Examples:
        >>> distance_to_line(np.array([[5.0, 12.0], [5.0, 7.0]]), (0, 10), (100, 10)).tolist()
        [2.0, -3.0]
    """
    along = np.subtract(end, start)
    to_point = points_xy - np.asarray(start, np.float64)
    across = along[0] * to_point[:, 1] - along[1] * to_point[:, 0]
    distances: npt.NDArray[np.float64] = across / np.hypot(*along)
    return distances


def distance_to_polygon(points_xy: Points, corners: tuple[Point, ...]) -> npt.NDArray[np.float64]:
    """Return how far points are inside a polygon, which may be concave.

    Args:
        points_xy: float64 [N, 2] in pixels.
        corners: in order, at least three; the last is joined to the first.

    Returns:
        float64 [N] in pixels: distance to the nearest edge; negative outside.

    Source:
        Even-odd rule.

    Examples:
        >>> square = ((0, 0), (10, 0), (10, 10), (0, 10))
        >>> distance_to_polygon(np.array([[5.0, 8.0], [13.0, 5.0]]), square).tolist()
        [2.0, -3.0]
    """
    starts = np.asarray(corners, np.float64)
    along = np.roll(starts, -1, axis=0) - starts
    to_point = points_xy[:, None] - starts
    part = (to_point * along).sum(axis=2) / np.maximum((along**2).sum(axis=1), 1e-12)
    nearest = np.clip(part, 0, 1)[..., None] * along
    distances: npt.NDArray[np.float64] = np.hypot(*np.moveaxis(to_point - nearest, 2, 0)).min(
        axis=1
    )
    y, ends_y = points_xy[:, None, 1], (starts + along)[:, 1]
    spans = (starts[:, 1] <= y) != (ends_y <= y)
    x = starts[:, 0] + to_point[..., 1] * along[:, 0] / np.where(along[:, 1] == 0, 1, along[:, 1])
    inside = (spans & (points_xy[:, None, 0] < x)).sum(axis=1) % 2 == 1
    return np.where(inside, distances, -distances)


def crosses(before: Point, after: Point, start: Point, end: Point) -> bool:
    """Return whether the way between two points on both sides of a line meets it between its ends.

    Examples:
        >>> crosses((5, 0), (5, 20), (0, 10), (100, 10))
        True
        >>> crosses((-5, 0), (-5, 20), (0, 10), (100, 10))
        False
    """
    way, line = np.subtract(after, before), np.subtract(end, start)
    across = way[0] * line[1] - way[1] * line[0]
    if across == 0:
        return False
    to_start = np.subtract(start, before)
    place = (to_start[0] * way[1] - to_start[1] * way[0]) / across
    return bool(0 <= place <= 1)
