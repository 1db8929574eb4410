"""The names in MLflow that training writes and serving reads."""

from models.store import BACKTEST_FILE, KERAS_FILE, METADATA_FILE, ONNX_FILE, SCALER_FILE

REGISTERED_MODEL = "stock-forecast"
CHAMPION = "champion"  # alias of the version that serves
MODEL_FILES = (KERAS_FILE, SCALER_FILE, ONNX_FILE, METADATA_FILE, BACKTEST_FILE)  # of a run: the files of a published version
MODEL_FOLDER = "modelFiles"  # of these files, in the artifacts of a run
