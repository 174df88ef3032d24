"""What both runners do: claims become outcomes, pass steps with a state, and go out as results."""
