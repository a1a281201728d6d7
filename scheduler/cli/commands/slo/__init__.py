"""`slo`: objectives, their error budgets and statements."""
