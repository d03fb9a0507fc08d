"""How long a test waits before it says that nothing will happen."""

LIMIT_S = 1800
"""Ends a test that hangs. Whatever waits so long takes under a minute, so that no machine is too slow for it; a verdict
that is about time counts work, simulated cycles or yardsticks instead."""
