# One file for all images. Without --target, it builds the service with the model that is in git, without TensorFlow and MLflow.
#
#   docker build -t tech_challenge_f4 .
#   docker run -d -p 8010:8010 --name tc_fase_4 tech_challenge_f4
#
# It also runs read-only and without capabilities:
#   docker run -d -p 8010:8010 --read-only --tmpfs /tmp --cap-drop all -v forecast-log:/data --name tc_fase_4 tech_challenge_f4
#
#   docker build --target full -t stock-forecast-full .        the service, training and the MLflow UI
#   docker build --target mlflow -t stock-forecast-mlflow .    the MLflow server and UI alone
#
# BuildKit builds only the stages that the target needs. Docker's old builder also builds the others: install docker-buildx.
# The stages with packages come before the code, so a change of the code installs nothing again.

FROM python:3.11-slim-bookworm AS base

# The user id is fixed, so files in a volume keep their owner across builds, and Kubernetes can check that it is not root.
# A new volume inherits the owner of the folder that it covers, so /data belongs to the user.
RUN groupadd --gid 10001 app \
    && useradd --uid 10001 --gid app --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin app \
    && install -d -o app -g app /data

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore

# The code of the project, readable by every user, with its bytecode, because the containers cannot write it. A newly trained model may be
# readable only by its owner, so chmod. .dockerignore allows only what an image may contain.
FROM base AS code
WORKDIR /app
COPY . .
RUN chmod -R a+rX . && python -m compileall -q . && mkdir /models && mv modelFiles /models/

# The code that serving needs. tests/test_image.py compares it with what serving imports.
FROM code AS serving-code
RUN xargs rm -r < deploy/training-only.txt \
    && rm -r deploy requirements*.txt \
    && find . -name '__pycache__' -prune -exec rm -r {} + \
    && python -m compileall -q .

# The MLflow server and UI on 8020, with the drivers of PostgreSQL and S3 for docs/how-to/kubernetes.md. All of requirements.txt is 2.4 GB, mostly
# TensorFlow, which the UI does not need.
FROM base AS mlflow
COPY deploy/requirements-mlflow.txt /opt/requirements-mlflow.txt
RUN pip install --require-hashes -r /opt/requirements-mlflow.txt \
    && install -d -o app -g app /mlruns
WORKDIR /mlruns
# No job runners and one worker: 2 processes instead of 15. Browsers can use the UI at localhost. For another host, set
# MLFLOW_SERVER_ALLOWED_HOSTS=stocks.example:8020 and MLFLOW_SERVER_CORS_ALLOWED_ORIGINS=http://stocks.example:8020.
ENV MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
    MLFLOW_DISABLE_TELEMETRY=true
USER 10001:10001
VOLUME ["/mlruns"]
EXPOSE 8020
HEALTHCHECK --interval=30s --timeout=5s --start-period=90s --retries=3 \
    CMD ["python", "-I", "-c", "import urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:8020/health', timeout=4)"]
# The server stores artifacts, so training on another machine or outside the container can log to it.
CMD ["mlflow", "server", "--host", "0.0.0.0", "--port", "8020", "--workers", "1", \
     "--backend-store-uri", "sqlite:////mlruns/mlflow.db", "--artifacts-destination", "/mlruns/artifacts"]
ARG VERSION=dev
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="MLflow for the stock forecast service" \
      org.opencontainers.image.description="MLflow tracking server and UI." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT"

# What both images of the service have: settings, the user's volume, the health check and the command.
FROM base AS service
WORKDIR /app
ENV HOST=0.0.0.0 \
    PORT=8010 \
    REQUEST_LOG=/data/log_predictions.csv \
    DATA_CACHE_DIR=/data/cache
# A volume stays writable with --read-only.
VOLUME ["/data"]
EXPOSE 8010
# /ready is 200 if a valid model is loaded. The check ignores proxies, which the engine may set in the environment.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-I", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + (os.environ.get('PORT') or '8010') + '/ready', timeout=4)"]
# Without a shell, app.py becomes gunicorn as process 1, which stops its workers on SIGTERM.
CMD ["python", "app.py"]

# The service, the training commands and the MLflow UI (ports 8010 and 8020), with all packages of the project (2.4 GB, mostly TensorFlow).
# compose.yaml also runs Dask's scheduler and workers with it.
FROM service AS full
COPY requirements.txt /opt/requirements.txt
RUN pip install --require-hashes -r /opt/requirements.txt
COPY --from=code /app ./
# Training replaces the model of the image, so the folder belongs to the user.
COPY --from=code --chown=10001:10001 /models ./
# yfinance, TensorFlow and MLflow keep caches in the home folder.
ENV MLFLOW_UI_HOST=0.0.0.0 \
    MLFLOW_TRACKING_URI=sqlite:////data/mlruns/mlflow.db \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib
RUN python -c "import app"
USER 10001:10001
VOLUME ["/app/modelFiles"]
EXPOSE 8020
ARG VERSION=dev
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="Stock forecast service with training" \
      org.opencontainers.image.description="The service, its training commands and the MLflow UI." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT"

# The service: the last stage, so the one that is built without --target.
FROM service AS serve
COPY requirements-serve.txt /opt/requirements-serve.txt
# Removes what serving does not use: the packages' tests, ONNX Runtime's C library and conversion tools, and source maps (118 MB).
RUN pip install --require-hashes -r /opt/requirements-serve.txt \
    && packages=/usr/local/lib/python3.11/site-packages \
    && find "$packages" -type d -name tests -prune -exec rm -r {} + \
    && rm -r "$packages"/onnxruntime/capi/libonnxruntime.so.* "$packages"/onnxruntime/tools "$packages"/onnxruntime/transformers \
        "$packages"/onnxruntime/quantization \
    && find "$packages" -name '*.map' -delete
COPY --from=serving-code /app ./
# A volume that covers modelFiles inherits its owner; the container of training, with the same user, then writes into it.
COPY --from=code --chown=10001:10001 /models ./
# The image has no MLflow UI. GET /mlflow redirects to MLFLOW_UI_URL, or explains how to get one.
ENV MLFLOW_UI=off
# A missing module fails the build and not the start.
RUN python -c "import app"
USER 10001:10001
ARG VERSION=dev
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="Stock forecast service" \
      org.opencontainers.image.description="Forecasts the next close of a stock from its last 60 closes, with intervals." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT"
