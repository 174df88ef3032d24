"""The one error that this tool raises on purpose."""


class ConvertError(ValueError):
    """A package, a weight file or a graph is not what the conversion needs."""
