"""What a script says: its functions, statements and variables, as a step is to have them."""
