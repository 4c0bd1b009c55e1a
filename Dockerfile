# One image for each service:   docker build --build-arg SERVICE=gateway --build-arg HEALTH_PORT=9103 .
# SERVICE may name several ("status analytics"): the first one is what the image runs.

FROM python:3.13-slim AS builder
ARG SERVICE
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /src

# What builds stays here; only the second environment goes into the image.
COPY requirements/build.txt requirements/
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes --requirement requirements/build.txt \
    && python -m venv --without-pip /opt/bluetick

# Others' code first: it changes rarely, so this layer is mostly taken from the cache.
COPY services/ingest/requirements.txt services/ingest/
COPY services/status/requirements.txt services/status/
COPY services/analytics/requirements.txt services/analytics/
COPY services/gateway/requirements.txt services/gateway/
RUN for service in ${SERVICE:?name a service}; do \
        /opt/build/bin/pip --python /opt/bluetick/bin/python install --require-hashes \
            --requirement "services/${service}/requirements.txt" || exit 1; \
    done

# Ours: only what the service needs, as wheels, exactly what the lock above was made for.
COPY tools/packages.py tools/
COPY libs libs
COPY services services
RUN read -r -a services <<< "${SERVICE}" \
    && python tools/packages.py ours "${services[@]/#/services/}" > ours.txt \
    && xargs -a ours.txt -I '{}' /opt/build/bin/pip wheel --no-deps --no-build-isolation \
        --wheel-dir /wheels './{}' \
    && /opt/build/bin/pip --python /opt/bluetick/bin/python install --no-deps --no-index \
        /wheels/*.whl \
    && ln -s "bluetick-${services[0]}" /opt/bluetick/bin/bluetick-service


FROM python:3.13-slim
ARG HEALTH_PORT=9103
RUN groupadd --gid 10001 bluetick \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin bluetick
COPY --from=builder /opt/bluetick /opt/bluetick
# Nothing is written into the image: it runs on a read-only root.
ENV PATH=/opt/bluetick/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HEALTH_URL=http://127.0.0.1:${HEALTH_PORT}/readyz
WORKDIR /opt/bluetick
USER 10001:10001
HEALTHCHECK --interval=5s --timeout=4s --start-period=60s --start-interval=1s --retries=6 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(os.environ['HEALTH_URL'], timeout=3)"]
ENTRYPOINT ["bluetick-service"]
