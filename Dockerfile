# The service with the model that is in git: no TensorFlow, no MLflow, 0.4 GB.
#
#   docker build -t tech_challenge_f4 .
#   docker run -d -p 8010:8010 --name tc_fase_4 tech_challenge_f4
#
# It also runs locked down:
#   docker run -d -p 8010:8010 --read-only --tmpfs /tmp --cap-drop all -v forecast-log:/data --name tc_fase_4 tech_challenge_f4

FROM python:3.11-slim-bookworm

# A fixed number, so that a volume's files keep their owner across builds and Kubernetes can see that it is not root.
# /data is made and given away here: a new volume takes over the owner of the folder that it covers.
RUN groupadd --gid 10001 app \
    && useradd --uid 10001 --gid app --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin app \
    && install -d -o app -g app /data

WORKDIR /app

# Before the code: this layer is rebuilt only when the pins change. pip writes the packages' bytecode.
COPY requirements-serve.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore --require-hashes -r requirements-serve.txt

# .dockerignore lets in only what serving needs: a new module comes along, the training commands stay out.
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

# Only 8010 is published, so no MLflow UI in here: GET /mlflow tells how to get one, or redirects to MLFLOW_UI_URL.
ENV HOST=0.0.0.0 \
    PORT=8010 \
    MLFLOW_UI=off \
    REQUEST_LOG=/data/log_predictions.csv \
    DATA_CACHE_DIR=/data/cache \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

# Bytecode now, since the user below may not write it: a quicker start. Importing the application here makes the build fail, not
# the start, where a module is missing. A model fresh from training may be readable by its owner alone, hence chmod.
RUN python -m compileall -q . \
    && chmod -R a+rX . \
    && python -c "import app"

USER 10001:10001
# A volume also stays writable under --read-only.
VOLUME ["/data"]
EXPOSE 8010

# /ready: the process lives and a valid model is loaded. Past any proxy, which the engine may put into the environment.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-I", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + (os.environ.get('PORT') or '8010') + '/ready', timeout=4)"]

# No shell between: app.py becomes gunicorn, process 1, which ends its workers on SIGTERM.
CMD ["python", "app.py"]

LABEL org.opencontainers.image.title="Stock forecast service" \
      org.opencontainers.image.description="Forecasts the next close of a stock from its last 60 closes, with intervals." \
      org.opencontainers.image.licenses="MIT"
