"""How good: distances, scores and shares between generated and real pictures, each with its protocol."""
