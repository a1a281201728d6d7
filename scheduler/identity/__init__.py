"""Who calls: principals, their roles, and the caller of a request."""
