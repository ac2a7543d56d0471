"""Self-contained pages that show how a training went and what the networks miss."""
