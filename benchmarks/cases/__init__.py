"""The cases, a file each; `benchmarks/_case.py` tells what a case has."""
