"""
Everything that runs on the line. Never imports torch or the training package.

    import edge

    with edge.subscribe("tcp://127.0.0.1:5556", "tcp://127.0.0.1:5559", "mes") as subscription:
        for delivered in subscription:
            ...
            subscription.acknowledge(delivered)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge.subscription import Subscription

    subscribe = Subscription

__all__ = ["subscribe"]


def __getattr__(name: str) -> Any:
    # Not above: training imports this package and needs no sockets.
    if name == "subscribe":
        from edge.subscription import Subscription

        return Subscription
    raise AttributeError(f"module 'edge' has no attribute '{name}'")
