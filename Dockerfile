# Two images. The last stage, which is built without --target: the Azure Functions host with the program in it.
#
#   docker build --build-arg BASE_DIGEST=sha256:... --build-arg REVISION="$(git rev-parse HEAD)" -t scheduler .
#
# The embedded host on plain Python, with a volume for its data:
#
#   docker build --target embedded --build-arg PYTHON_DIGEST=sha256:... -t scheduler-embedded .
#
# BASE_DIGEST and PYTHON_DIGEST pin the base images exactly; without them the newest image of the tag is used.
# REQUIREMENTS=requirements-databases.txt adds the drivers of database checks to either image: docs/databases.md.
ARG BASE_IMAGE=mcr.microsoft.com/azure-functions/python:4-python3.13
ARG BASE_DIGEST=
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim
ARG PYTHON_DIGEST=

# --- The embedded host ---

FROM ${PYTHON_IMAGE}${PYTHON_DIGEST:+@}${PYTHON_DIGEST} AS python

FROM python AS embedded-build
WORKDIR /build
ARG REQUIREMENTS=requirements.txt
COPY requirements.txt requirements-databases.txt ./
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check --no-compile --only-binary=:all: \
      --require-hashes --requirement "${REQUIREMENTS}" --target packages
COPY jobs program/jobs/
COPY config program/config/
COPY importers program/importers/
COPY observability program/observability/
COPY scheduler program/scheduler/
COPY tools/image tools/image/
# Two trees without what is unused, with byte code and fixed file times: the same layers in each build.
RUN python3 -m tools.image.assemble packages program layers \
      --packages-path opt/scheduler/packages --program-path opt/scheduler

FROM python AS embedded
# Root owns the program's files. It writes to /data and /tmp only. Nothing in the image can install packages. The file
# times are fixed, so that this layer is the same in each build, too.
RUN touch /tmp/start \
    && SOURCE_DATE_EPOCH=315532800 useradd --no-log-init --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin scheduler \
    && install --directory --owner=scheduler --group=scheduler /data \
    && install --directory /jobs \
    && for folder in $(python3 -IBc 'import site, sysconfig; print(*site.getsitepackages(), sysconfig.get_path("stdlib"))'); do \
         rm -rf "$folder"/pip "$folder"/pip-* "$folder"/setuptools* "$folder"/wheel "$folder"/wheel-* \
           "$folder"/pkg_resources "$folder"/_distutils_hack "$folder"/distutils-precedence.pth "$folder"/ensurepip; \
       done \
    && rm -f /usr/bin/pip* /usr/local/bin/pip* \
    && find / -xdev -newer /tmp/start -exec touch --no-dereference --date=@315532800 {} + \
    && rm /tmp/start && touch --date=@315532800 /tmp
COPY --from=embedded-build /build/layers/packages /
COPY --from=embedded-build /build/layers/program /
WORKDIR /data

# Inside a container only its own network reaches the port. Publishing the port gives others access: see docs/deploying.md.
ENV PYTHONPATH=/opt/scheduler:/opt/scheduler/packages \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONSAFEPATH=1 \
    SCHEDULER_ALLOW_REMOTE=true \
    SCHEDULER_ENVIRONMENT=prod \
    SCHEDULER_HOST=0.0.0.0 \
    SCHEDULER_JOBS=/jobs \
    SCHEDULER_PORT=8080 \
    SCHEDULER_STORE=sqlite:////data/scheduler.db

USER 10001:10001
VOLUME ["/data"]
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 CMD ["python3", "-c", \
  "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/api/health/live', timeout=4)"]
ENTRYPOINT ["python3", "-m", "scheduler"]
CMD ["serve"]
# Last, because each commit changes them.
ARG REVISION=unknown
ARG VERSION=
LABEL org.opencontainers.image.title="scheduler-embedded" \
      org.opencontainers.image.description="Scheduled jobs and health checks: the embedded host" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.version="${VERSION:-${REVISION}}"
ENV SCHEDULER_VERSION=${VERSION:-${REVISION}}

# --- The Azure Functions host ---

FROM ${BASE_IMAGE}${BASE_DIGEST:+@}${BASE_DIGEST} AS base

FROM base AS build
WORKDIR /build
ARG REQUIREMENTS=requirements.txt
COPY requirements.txt requirements-databases.txt ./
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check --no-compile --only-binary=:all: \
      --require-hashes --requirement "${REQUIREMENTS}" --target packages
COPY function_app.py host.json program/
COPY jobs program/jobs/
COPY config program/config/
COPY importers program/importers/
COPY observability program/observability/
COPY scheduler program/scheduler/
COPY tools/image tools/image/
# As above. Packages go into the folder that the worker puts before its own libraries: packages next to the image's
# Python come after them, and then the worker's older azure-functions-runtime would win over that of requirements.txt.
RUN python3 -m tools.image.assemble packages program layers \
      --packages-path home/site/wwwroot/.python_packages/lib/site-packages --program-path home/site/wwwroot

FROM base
# Root owns the program's files. The host writes below these folders and in /tmp. The rest is as above.
RUN touch /tmp/start \
    && SOURCE_DATE_EPOCH=315532800 useradd --no-log-init --uid 10001 --user-group --no-create-home --home-dir /home --shell /usr/sbin/nologin scheduler \
    && install --directory --owner=scheduler --group=scheduler \
         /home/data /home/LogFiles /home/ASP.NET /home/.azurefunctions /azure-functions-host/Secrets \
    && for folder in $(python3 -IBc 'import site, sysconfig; print(*site.getsitepackages(), sysconfig.get_path("stdlib"))'); do \
         rm -rf "$folder"/pip "$folder"/pip-* "$folder"/setuptools* "$folder"/wheel "$folder"/wheel-* \
           "$folder"/pkg_resources "$folder"/_distutils_hack "$folder"/distutils-precedence.pth "$folder"/ensurepip; \
       done \
    && rm -f /usr/bin/pip* /usr/local/bin/pip* \
    && find / -xdev -newer /tmp/start -exec touch --no-dereference --date=@315532800 {} + \
    && rm /tmp/start && touch --date=@315532800 /tmp
COPY --from=build /build/layers/packages /
COPY --from=build /build/layers/program /
WORKDIR /home/site/wwwroot

# A port that needs no privilege: the app setting WEBSITES_PORT (or the ingress's target port) is 8080 as well.
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
    SCHEDULER_STORE=azure
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["python3", "-c", \
  "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/api/health/live', timeout=4)"]
# Last, because each commit changes them.
ARG REVISION=unknown
ARG VERSION=
LABEL org.opencontainers.image.title="scheduler" \
      org.opencontainers.image.description="Scheduled jobs and health checks on Azure" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.version="${VERSION:-${REVISION}}"
ENV SCHEDULER_VERSION=${VERSION:-${REVISION}}
