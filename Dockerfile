# syntax=docker/dockerfile:1
# auditstream in a container: one virtual environment, nobody's shell, nothing to build with.
#
#   deploy/pin && docker compose build
#
# PYTHON_IMAGE has no default: `deploy/pin` writes it, with its digest, into .env. To build by hand:
#   docker build --build-arg PYTHON_IMAGE=python:3.13-slim-bookworm@sha256:… .
ARG PYTHON_IMAGE

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
WORKDIR /build
RUN python -m venv --without-pip /opt/auditstream \
  && python -m venv /tools
COPY requirements/run.lock requirements/run.lock
# What the lock holds, at its hashes and as wheels: nothing is compiled and no set-up code runs.
RUN /tools/bin/pip install --require-hashes --only-binary :all: --requirement requirements/run.lock \
  && /tools/bin/pip --python /opt/auditstream/bin/python install --require-hashes \
    --only-binary :all: --requirement requirements/run.lock
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY detectors detectors
COPY pipeline pipeline
COPY dashboards dashboards
RUN /tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir wheels . \
  && /tools/bin/pip --python /opt/auditstream/bin/python install --no-deps wheels/*.whl \
  && /tools/bin/pip --python /opt/auditstream/bin/python uninstall --yes \
    hatchling pathspec pluggy tomlkit trove-classifiers \
  && /opt/auditstream/bin/auditstream --version

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE}
# The set-up of docker-compose.yml makes certificates with it.
RUN openssl version \
  && python -m pip uninstall --yes pip \
  && groupadd --gid 10001 auditstream \
  && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
    --shell /usr/sbin/nologin auditstream
COPY --from=build /opt/auditstream /opt/auditstream
COPY deploy/setup /opt/auditstream/setup
ENV PATH=/opt/auditstream/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
# An empty folder: Python would take modules from where it is started, and this one has none.
WORKDIR /var/empty
ENTRYPOINT ["auditstream"]
CMD ["--help"]
