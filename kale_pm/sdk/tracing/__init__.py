"""The body of a pipeline, called with proxies: which steps it calls with what."""
