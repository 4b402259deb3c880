"""Training on JAX: many steps and epochs in one compiled program."""
