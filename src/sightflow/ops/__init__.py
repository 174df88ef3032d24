"""Pure functions on arrays: decode, resize, crop, normalise, boxes, suppression, drawing."""
