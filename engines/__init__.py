"""From a checkpoint to a release bundle, and the proof that it still says what PyTorch said."""
