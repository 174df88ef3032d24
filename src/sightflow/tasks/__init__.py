"""Tasks: preprocessing, a model and the reading of its outputs, for one kind of recognition."""
