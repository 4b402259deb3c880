"""What other packages of keras_tied may use of the layers besides the public names."""

from keras_tied.layers._kernel import kernel_of

__all__ = ["kernel_of"]
