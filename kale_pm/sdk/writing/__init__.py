"""A traced pipeline as a tagged notebook."""
