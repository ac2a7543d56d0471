"""What ``edge-train`` can be asked to do: one file a subject, flags and what they start."""
