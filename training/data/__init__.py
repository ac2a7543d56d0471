"""Labelled images on disk to tiles for a network."""
