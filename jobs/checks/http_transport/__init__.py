"""Http transport."""
