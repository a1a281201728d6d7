"""The base classes of conditions, and what several conditions use."""
