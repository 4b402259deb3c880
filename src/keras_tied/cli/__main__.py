"""What ``python -m keras_tied.cli`` runs."""

from keras_tied.cli import main

main()
