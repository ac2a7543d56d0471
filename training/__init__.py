"""Data sets, models, losses and metrics: from labelled images to a checkpoint."""
