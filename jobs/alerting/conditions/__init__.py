"""The conditions of alert rules: one module each, with its model, and a line in union.py."""
