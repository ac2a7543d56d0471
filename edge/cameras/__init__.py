"""``edge-inspectd camera``: the first things an engineer does, without a bundle and without the daemon."""
