"""Processes that make the attempts of runs, so that a program uses all cores.

The first process plans, claims, admits, records and publishes. `pool` starts the others and hands them orders by their
capacity; `process` is one of them as the first one sees it, `child` is what it executes, `messages` is what the two
say to each other. A process that ends loses nothing: the claims of its runs stay with the first one, which starts them
anew.
"""
