"""What a step gave before, and whether it is still right."""
