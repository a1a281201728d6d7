"""Checks texts and names against the rules below styles/, which docs/style.md explains. Called by `./dev check`."""
