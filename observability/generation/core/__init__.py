"""What all generated documents share: the portfolio, documents, the three-way merge, drift, and applying."""
