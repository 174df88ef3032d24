"""Sources: where images come from. A source lists claims and redeems them."""
