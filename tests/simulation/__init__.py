"""The scheduler in virtual time, with crashes, lost answers and doubled messages, all drawn from a seed.

Real: planning, batches, queue work, worker, ticker, everything above the store's port. Simulated: the store, the queue,
the hosts' triggers, the targets and the clocks. `python -m bench.simulation --seed N` replays a seed.
"""
