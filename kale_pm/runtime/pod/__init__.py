"""One step of the compiled pipeline, inside its pod."""
