"""`python -m benchmarks`: ours and other libraries side by side, and the page made of it."""
