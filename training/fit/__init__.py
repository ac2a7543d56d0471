"""How a network is trained: strategy, schedule, loss, steps, books, and the state to go on from."""
