"""How tickets travel from the tick to a worker: at once in the embedded host, over a queue in the Functions host."""
