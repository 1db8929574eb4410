# Scheduler and workers of the Dask cluster in compose.yaml. Built from the project's folder:
#
#   docker build -f deploy/dask.Dockerfile -t stock-forecast-dask .
#
# It has the libraries of training (2.4 GB, mostly TensorFlow) and none of the project's code: that travels with the tasks.

FROM python:3.11-slim-bookworm

RUN groupadd --gid 10001 app \
    && useradd --uid 10001 --gid app --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin app

WORKDIR /tmp

COPY requirements.txt /opt/requirements.txt
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore --require-hashes -r /opt/requirements.txt

ENV PYTHONUNBUFFERED=1

USER 10001:10001
EXPOSE 8786

CMD ["dask", "scheduler", "--port", "8786", "--no-dashboard"]

LABEL org.opencontainers.image.title="Dask for the stock forecast service" \
      org.opencontainers.image.description="Scheduler and workers for modelTrain.py --dask." \
      org.opencontainers.image.licenses="MIT"
