"""The Azure Tables store: transactions on the wire, recovery of lost answers, rows as entities."""
