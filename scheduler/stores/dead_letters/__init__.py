"""Dead letters: the value (letter) and where it is stored (repository)."""
