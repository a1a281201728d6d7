"""Regular expressions, JSONPath and CEL with limits of time and memory. Used by entries, targets and checks."""
