"""A fit: rows are prepared, a plan is made, a solver runs, its result is judged."""
