"""How healthy: signals taken from a run while it trains, and verdicts over their history."""
