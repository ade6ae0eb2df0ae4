# The HTTP service, made by the commands that a person types: install, then fetch the backbone.
#   docker build -t quintet .
#   docker run --rm --read-only --tmpfs /tmp -p 8000:8000 -v "$PWD/keys.txt:/run/secrets/keys.txt:ro" quintet
# keys.txt holds one key a line; without it the service refuses to start, since others could reach it.
FROM python:3.11-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home --home-dir /nonexistent quintet

# torch without CUDA: without this line the image takes 5 GB more.
ENV PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu \
    PIP_NO_CACHE_DIR=1 \
    QUINTET_HOME=/opt/quintet-home \
    QUINTET_API_KEYS=/run/secrets/keys.txt \
    HF_HUB_OFFLINE=1 \
    HF_HOME=/tmp/huggingface \
    NUMBA_CACHE_DIR=/tmp/numba \
    PYTHONDONTWRITEBYTECODE=1

WORKDIR /opt/quintet
COPY . .
# Kernels are compiled here, and written to the one folder that may be written to at every start.
RUN make install && .venv/bin/quintet backbone get smollm2 --or-fall-back && mv /tmp/numba /opt/quintet-kernels

USER quintet
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD [".venv/bin/python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["sh", "-c", "cp -rT /opt/quintet-kernels /tmp/numba; exec .venv/bin/quintet serve --host 0.0.0.0 \"$@\"", "quintet"]
