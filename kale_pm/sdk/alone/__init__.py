"""One step executed alone, with values that no code can say."""
