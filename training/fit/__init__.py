"""How a network is trained: loss, task, trainer."""
