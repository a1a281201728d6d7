"""Value types."""
