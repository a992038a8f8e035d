"""From a pipeline to the package that a KFP server runs."""
