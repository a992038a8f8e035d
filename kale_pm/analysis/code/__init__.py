"""What a piece of code does to the notebook's variables, found by following its statements."""
