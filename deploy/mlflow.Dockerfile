# The MLflow server and UI on 8020, for compose.yaml. Built from the project's folder:
#
#   docker build -f deploy/mlflow.Dockerfile -t stock-forecast-mlflow .
#
# It has MLflow, and the drivers of PostgreSQL and S3 for docs/kubernetes.md. All of requirements.txt is 2.4 GB, mostly TensorFlow, which the UI
# does not need.

FROM python:3.11-slim-bookworm

RUN groupadd --gid 10001 app \
    && useradd --uid 10001 --gid app --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin app \
    && install -d -o app -g app /mlruns

WORKDIR /mlruns

COPY deploy/requirements-mlflow.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore --require-hashes -r /tmp/requirements.txt \
    && rm /tmp/requirements.txt

# No job runners and one worker: 2 processes instead of 15. Browsers can use the UI at localhost. For another host, set
# MLFLOW_SERVER_ALLOWED_HOSTS=stocks.example:8020 and MLFLOW_SERVER_CORS_ALLOWED_ORIGINS=http://stocks.example:8020.
ENV MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
    MLFLOW_DISABLE_TELEMETRY=true \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

USER 10001:10001
VOLUME ["/mlruns"]
EXPOSE 8020

HEALTHCHECK --interval=30s --timeout=5s --start-period=90s --retries=3 \
    CMD ["python", "-I", "-c", "import urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:8020/health', timeout=4)"]

# The server stores artifacts, so training on another machine or outside the container can log to it.
CMD ["mlflow", "server", "--host", "0.0.0.0", "--port", "8020", "--workers", "1", \
     "--backend-store-uri", "sqlite:////mlruns/mlflow.db", "--artifacts-destination", "/mlruns/artifacts"]

LABEL org.opencontainers.image.title="MLflow for the stock forecast service" \
      org.opencontainers.image.description="MLflow tracking server and UI." \
      org.opencontainers.image.licenses="Apache-2.0"
