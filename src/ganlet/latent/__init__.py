"""What can be done with a trained generator's latents: pure functions on tensors, no files, no printing."""
