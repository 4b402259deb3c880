"""`Report`, what an autoencoder makes of a table, as one HTML page that needs nothing else."""

from keras_tied.report._report import Report

__all__ = ["Report"]
