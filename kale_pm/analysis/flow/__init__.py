"""What flows between steps: sources, edges that follow from them, and what is wrong."""
