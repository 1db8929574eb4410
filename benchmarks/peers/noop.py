"""The least that a Flask view can do with our body: parse it and answer a constant as long as our answer.

Served as ours is: python -m gunicorn -c gunicorn.conf.py benchmarks.peers.noop:app
"""

from flask import Flask, Response, jsonify, request

ANSWER = {
    "predicted_price": 233.52243579912187,
    "last_close": 233.434,
    "intervals": {"80": [227.60432216801254, 239.59443081797068], "95": [223.21636693935594, 244.30434367015124]},
    "warnings": [],
    "response_time_sec": 0.0010429959984321613,
    "memory_usage_percent": 6.1,
    "model_version": "20261123-173139-bfd18b",
}

app = Flask(__name__)


@app.post("/predict")
def predict() -> Response:
    """Parse and answer."""
    request.get_json()
    return jsonify(ANSWER)
