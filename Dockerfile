# The Azure Functions host with the program in it.
#
#   docker build --build-arg BASE_DIGEST=sha256:... --build-arg REVISION="$(git rev-parse HEAD)" -t scheduler .
#
# BASE_DIGEST pins the base image exactly; without it the newest image of the tag is taken.
ARG BASE_IMAGE=mcr.microsoft.com/azure-functions/python:4-python3.13
ARG BASE_DIGEST=

FROM ${BASE_IMAGE}${BASE_DIGEST:+@}${BASE_DIGEST} AS base

FROM base AS build
WORKDIR /home/site/wwwroot
COPY requirements.txt ./
# Into the folder that the worker puts before its own libraries: packages beside the image's Python come after them, and
# then the worker's older azure-functions-runtime would win over the one that requirements.txt names.
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check --no-compile --only-binary=:all: \
      --require-hashes --requirement requirements.txt --target .python_packages/lib/site-packages
COPY function_app.py host.json ./
COPY jobs jobs/
COPY config config/
COPY observability observability/
COPY scheduler scheduler/
# Byte code that does not look at file times: a start is three times as fast with it, and the file system stays read-only.
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash .

FROM base
ARG REVISION=unknown
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="scheduler" \
      org.opencontainers.image.description="Scheduled jobs and health checks on Azure" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.version="${VERSION}"

# A port that needs no privilege: the app setting WEBSITES_PORT (or the ingress's target port) says 8080 as well.
# Telemetry: the app configures Azure Monitor itself, keeps every trace, and writes its own spans for the calls it makes.
ENV AzureWebJobsScriptRoot=/home/site/wwwroot \
    AzureFunctionsJobHost__Logging__Console__IsEnabled=true \
    ASPNETCORE_URLS=http://+:8080 \
    PYTHONPATH=/home/site/wwwroot/.python_packages/lib/site-packages \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHON_ENABLE_OPENTELEMETRY=true \
    OTEL_TRACES_SAMPLER=microsoft.fixed_percentage \
    OTEL_TRACES_SAMPLER_ARG=1.0 \
    OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=httpx,azure_sdk \
    SCHEDULER_ENVIRONMENT=prod \
    SCHEDULER_STORE=azure \
    SCHEDULER_VERSION=${REVISION}

# The program's files stay root's. The host writes below these folders and in /tmp.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /home --shell /usr/sbin/nologin scheduler \
    && install --directory --owner=scheduler --group=scheduler \
         /home/data /home/LogFiles /home/ASP.NET /home/.azurefunctions /azure-functions-host/Secrets
COPY --from=build /home/site/wwwroot /home/site/wwwroot
WORKDIR /home/site/wwwroot
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["python3", "-c", \
  "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/api/health/live', timeout=4)"]
