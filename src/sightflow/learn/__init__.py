"""Learning: networks that improve on the stream, their test on the stream, and their versions."""
