"""The two networks, and the files their weights lie in."""
