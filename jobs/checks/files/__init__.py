"""Files that checks read: never on the event loop, and only regular ones of a bounded size."""
