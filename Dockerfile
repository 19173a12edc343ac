# Images of the page and of the scoring server, both without TensorFlow; see docs/operations.md.
#   docker build --target page -t spoof-page .
#   docker build --target serving --build-arg MODEL=image/model -t spoof-serving .
# Pin the base: --build-arg PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm@sha256:…
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm

# The model that ships has no LiteRT file; TensorFlow makes it here, once, and stays behind.
FROM ${PYTHON_IMAGE} AS unpack
WORKDIR /src
COPY requirements.lock ./
RUN pip install --no-cache-dir --no-input --require-hashes --only-binary :all: -r requirements.lock
COPY pipeline ./pipeline
COPY artifacts/pretrained ./artifacts/pretrained
RUN python -m pipeline.unpack artifacts/pretrained/whisper /model

FROM ${PYTHON_IMAGE} AS base
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 MLFLOW_DISABLE_TELEMETRY=true HOME=/home/spoof
RUN useradd --uid 10001 --create-home spoof
WORKDIR /app

FROM base AS serving
COPY requirements-serving.lock ./
RUN pip install --no-cache-dir --no-input --require-hashes --only-binary :all: -r requirements-serving.lock
# Folder of a registered version: mlflow artifacts download -u models:/spoof-detector@champion -d image/model
ARG MODEL=image/model
COPY ${MODEL} /model
USER 10001
EXPOSE 5001
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:5001/ping', timeout=4)"]
CMD ["mlflow", "models", "serve", "-m", "/model", "--env-manager", "local", "-h", "0.0.0.0", "-p", "5001"]

FROM base AS page
COPY requirements-page.lock ./
RUN pip install --no-cache-dir --no-input --require-hashes --only-binary :all: -r requirements-page.lock
COPY pipeline ./pipeline
COPY --from=unpack /model /model
# Jobs keep their files here: mount a volume, writable for user 10001.
ENV SPOOF_ARTIFACTS=/data
RUN install -d -o spoof -m 700 /data
VOLUME /data
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/icon.svg', timeout=4)"]
ENTRYPOINT ["python", "-m", "pipeline.page", "--model", "/model", "--host", "0.0.0.0"]
