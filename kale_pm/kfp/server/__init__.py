"""The API of the KFP server."""
