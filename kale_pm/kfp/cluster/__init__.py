"""The API of Kubernetes itself, where KFP has no words for it."""
