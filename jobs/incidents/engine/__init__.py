"""Advances incidents: `passing.run_pass` calls the steps of a pass in order. Pure."""
