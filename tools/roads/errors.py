"""What goes wrong when pictures are made."""


class RoadsError(ValueError):
    """Pictures or annotations are not what they must be."""
