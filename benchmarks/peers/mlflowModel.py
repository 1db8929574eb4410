"""The published Keras model in MLflow's format, for `mlflow models serve`: python mlflowModel.py FOLDER.

It is served as MLflow's users do: mlflow models serve -m FOLDER --env-manager local --host 127.0.0.1 --workers 2. It takes scaled
relative closes (n, 60, 1), float32, and checks no more than that: scaling is its client's work.
"""

import sys
from pathlib import Path

import keras
import mlflow.keras
import numpy as np
from mlflow.models import ModelSignature
from mlflow.types.schema import Schema, TensorSpec

PROJECT_DIR = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT_DIR))

from models.store import KERAS_FILE, read_published

if __name__ == "__main__":
    published = read_published(PROJECT_DIR / "modelFiles")
    model = keras.saving.load_model(published.folder / KERAS_FILE, compile=False, safe_mode=True)
    closes = Schema([TensorSpec(np.dtype(np.float32), (-1, 60, 1))])
    forecast = Schema([TensorSpec(np.dtype(np.float32), (-1, 1))])
    signature = ModelSignature(closes, forecast)
    mlflow.keras.save_model(model, sys.argv[1], signature=signature, pip_requirements=[])  # served from this environment: none to infer
