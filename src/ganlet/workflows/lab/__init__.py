"""The latent lab: a run's generator as one explores it. `Lab` is the way in."""
