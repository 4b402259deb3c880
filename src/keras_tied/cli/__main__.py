"""Run the command line: ``python -m keras_tied.cli``."""

from keras_tied.cli import main

main()
