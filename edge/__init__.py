"""Everything that runs on the line. Never imports torch or the training package."""
