"""The fitted value: arrays that encode, decode, fill in and score rows, in NumPy."""
