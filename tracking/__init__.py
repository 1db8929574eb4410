"""MLflow: training runs, the model registry, the UI."""
