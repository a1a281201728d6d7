"""When runs are due: pure, no clock and no I/O of its own. Called by the ticker and by the Functions tick."""
