"""Plans which runs are due. Pure: no clock and no I/O. Called by the ticks of both hosts."""
