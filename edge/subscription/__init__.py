"""The verdicts of a station without a gap, in order, each once."""

from edge.subscription.delivered import Delivered
from edge.subscription.sequence import Missed, Position
from edge.subscription.stream import State, Subscription

__all__ = ["Delivered", "Missed", "Position", "State", "Subscription"]
