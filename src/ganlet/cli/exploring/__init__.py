"""ganlet explore: the latent lab on the command line."""
