"""Files that checks read: never on the event loop, and only regular files of a bounded size."""
