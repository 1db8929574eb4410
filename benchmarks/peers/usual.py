"""The usual course project: Flask's own server, Keras' model.predict and a pickled scaler.

python benchmarks/peers/usual.py PORT
"""

import io
import sys
from pathlib import Path

import joblib
import keras
import numpy as np
from flask import Flask, Response, jsonify, request

PROJECT_DIR = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT_DIR))

from models.store import KERAS_FILE, SCALER_FILE, read_published

app = Flask(__name__)
published = read_published(PROJECT_DIR / "modelFiles")  # not usual: both files can run code, so their sums are checked first
model = keras.saving.load_model(published.folder / KERAS_FILE, compile=False, safe_mode=True)
scaler = joblib.load(io.BytesIO(published.read(SCALER_FILE)))


@app.post("/predict")
def predict() -> Response:
    """The next close of one window; the network knows closes relative to the window's last."""
    closes = np.array(request.get_json()["predict"])
    scaled = scaler.transform((closes / closes[-1]).reshape(-1, 1))
    forecast = model.predict(scaled.reshape(1, -1, 1))
    return jsonify({"predicted_price": float(scaler.inverse_transform(forecast)[0, 0] * closes[-1])})


if __name__ == "__main__":
    app.run(port=int(sys.argv[1]))
