"""Pages for people: they read results and draw them."""
