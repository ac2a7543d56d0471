"""``edge-inspectd install``: a station becomes a service of systemd, and can be taken away again."""
