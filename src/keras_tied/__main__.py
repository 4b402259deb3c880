"""What ``python -m keras_tied`` runs: the command ``keras-tied``."""

from keras_tied.cli import main

main()
