"""The catalogue of causes: pure functions, one for each cause."""
