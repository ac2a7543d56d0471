"""``edge-inspectd calibrate``: the scale of a camera from a known target, and the dated file that it is kept in."""
