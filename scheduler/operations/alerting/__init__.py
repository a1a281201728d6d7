"""Changes of what notifies people: silences and maintenance windows. Used by the API and the commands."""
