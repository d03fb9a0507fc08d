"""digitduino: train a tiny digit classifier, run it on an Arduino, prove that both say the same."""

__version__ = "0.1.0"
