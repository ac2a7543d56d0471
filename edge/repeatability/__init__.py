"""``edge-inspectd repeatability``: the same parts again and again, and how far the station agrees with itself."""
