"""Choosing gates, thresholds and rules for a stated target, and proving that they keep it."""
