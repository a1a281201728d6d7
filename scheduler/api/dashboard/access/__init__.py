"""Sign-in, sign-out and preferences."""
