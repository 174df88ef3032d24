"""The page that tells what a run has found."""
