"""The training loop, its losses and its metrics."""
