"""Advances incidents: one module a step of a pass, `passing.run_pass` calls them in order. Pure."""
