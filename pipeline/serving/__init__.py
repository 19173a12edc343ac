"""The registered model as a server: MLflow's interface, limits at its door, files it may read, and its latency."""
