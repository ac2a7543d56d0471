"""How good the networks are: predictions, metrics, reports."""
