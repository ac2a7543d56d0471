"""
Whether split test may prove anything: no network may have seen a part of it while it was trained.

Splits alone do not tell: parts that are added to data without a split of their own deal all groups anew, and so does
another seed. So a checkpoint says which pictures it has seen, by their bytes.
"""

from __future__ import annotations

from edge.errors import BundleError, ConfigurationError
from training.data.datasets import Dataset
from training.data.digests import picture_digests
from training.figures.engine import TrainedNetworks


def require_unseen(dataset: Dataset, networks: TrainedNetworks) -> None:
    """
    Refuse networks that were trained on, or chosen by, any picture of a part in split test.

    Raises:
        BundleError: a checkpoint does not say what it has seen.
        ConfigurationError: says how many pictures, and the first.
        DataError: the split is empty.
    """
    tested = dataset.split("test")
    digests = picture_digests(tested)
    for spec in (networks.classifier_spec, networks.segmenter_spec):
        if not spec.seen:
            raise BundleError(
                f"the {spec.kind}'s checkpoint does not say which pictures it has seen, so that nothing can be proven "
                "with it: train it again"
            )
        known = set(spec.seen)
        seen = [sample for sample, digest in zip(tested, digests, strict=True) if digest in known]
        if seen:
            raise ConfigurationError(
                f"{dataset.name}: split 'test' is no proof: the {spec.kind} was trained on or chosen by {len(seen)} of "
                f"its {len(tested)} pictures, of {len({sample.group for sample in seen})} independent parts, the first "
                f"{seen[0].image}; the split has changed since (parts were added, or --seed is another): give the data "
                "a split column (edge-train data check --write-split) and train again, or restore the old split"
            )
