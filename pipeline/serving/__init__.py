"""Registered model as a server: MLflow's interface, limits on requests, files it may read, and its latency log."""
