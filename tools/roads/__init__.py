"""Pictures of roads to train with: signs that are drawn."""
