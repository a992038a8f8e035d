"""One slice executed: kernel, papermill engine, and what is told meanwhile."""
