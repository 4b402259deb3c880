"""The name under which Keras saves our classes."""

import keras

serializable = keras.saving.register_keras_serializable(
    package="keras_tied",
)
