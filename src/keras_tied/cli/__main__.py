"""Run the command line: ``python -m keras_tied.cli``."""

from keras_tied.__main__ import main

main()
