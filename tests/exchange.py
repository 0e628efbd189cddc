"""The simulated Exchange, as fixtures."""
