# The service with the model that is in git, without TensorFlow and MLflow (0.4 GB).
#
#   docker build -t tech_challenge_f4 .
#   docker run -d -p 8010:8010 --name tc_fase_4 tech_challenge_f4
#
# It also runs read-only and without capabilities:
#   docker run -d -p 8010:8010 --read-only --tmpfs /tmp --cap-drop all -v forecast-log:/data --name tc_fase_4 tech_challenge_f4

FROM python:3.11-slim-bookworm

# The user id is fixed, so files in a volume keep their owner across builds, and Kubernetes can check that it is not root.
# A new volume inherits the owner of the folder that it covers, so /data belongs to the user.
RUN groupadd --gid 10001 app \
    && useradd --uid 10001 --gid app --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin app \
    && install -d -o app -g app /data

WORKDIR /app

# Copied before the code, so this layer is rebuilt only when the versions change. pip compiles the packages' bytecode.
COPY requirements-serve.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore --require-hashes -r requirements-serve.txt

# .dockerignore allows only the files that serving needs. It excludes the training commands.
COPY LICENSE swagger.yaml *.py ./
COPY api api
COPY closes closes
COPY forecast forecast
COPY models models
COPY monitoring monitoring
COPY server server
COPY tracking tracking
COPY data data
COPY static static
COPY templates templates
COPY jupyter jupyter
COPY modelFiles modelFiles

# The image has no MLflow UI. GET /mlflow redirects to MLFLOW_UI_URL, or explains how to get one.
ENV HOST=0.0.0.0 \
    PORT=8010 \
    MLFLOW_UI=off \
    REQUEST_LOG=/data/log_predictions.csv \
    DATA_CACHE_DIR=/data/cache \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

# Compile the bytecode now for a faster start, because the user below cannot write it. Import the application, so that a missing module
# fails the build and not the start. A newly trained model may be readable only by its owner, so chmod.
RUN python -m compileall -q . \
    && chmod -R a+rX . \
    && python -c "import app"

USER 10001:10001
# A volume stays writable with --read-only.
VOLUME ["/data"]
EXPOSE 8010

# /ready is 200 if a valid model is loaded. The check ignores proxies, which the engine may set in the environment.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-I", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + (os.environ.get('PORT') or '8010') + '/ready', timeout=4)"]

# Without a shell, app.py becomes gunicorn as process 1, which stops its workers on SIGTERM.
CMD ["python", "app.py"]

LABEL org.opencontainers.image.title="Stock forecast service" \
      org.opencontainers.image.description="Forecasts the next close of a stock from its last 60 closes, with intervals." \
      org.opencontainers.image.licenses="MIT"
