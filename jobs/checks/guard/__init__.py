"""Which addresses, hosts and ports checks may connect to."""
