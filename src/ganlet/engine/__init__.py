"""How to minimise: the step, the loop, and everything that makes them exact."""
