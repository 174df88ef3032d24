"""The same images again, with another model or another threshold, and where the results differ."""
