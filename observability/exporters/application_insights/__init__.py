"""Application insights."""
