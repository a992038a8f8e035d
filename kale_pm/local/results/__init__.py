"""What runs left behind: read, compared, debugged, and cleaned away."""
