"""Data sets, models, losses and metrics: from labelled images to a checkpoint."""

# Before any of timm, lightning and torchmetrics, which all import torchvision.
from training import torchvision_shim as torchvision_shim
