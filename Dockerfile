# One image for every process of Laneway; the command says which: serve, work, migrate, simulate, keys.

FROM python:3.11-slim AS packages
COPY requirements-run.lock /tmp/requirements-run.lock
RUN python -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --no-deps --require-hashes -r /tmp/requirements-run.lock

FROM python:3.11-slim
COPY --from=packages /opt/venv /opt/venv
COPY LICENSE /opt/laneway/LICENSE
COPY app /opt/laneway/app
COPY laneway /opt/laneway/laneway
COPY migrations /opt/laneway/migrations
# A user without a home or a shell; a `laneway` command for `docker compose exec`.
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin laneway \
    && printf '#!/bin/sh\nexec python -m app "$@"\n' > /usr/local/bin/laneway \
    && chmod 755 /usr/local/bin/laneway \
    && /opt/venv/bin/python -m compileall -q /opt/laneway
# Laneway's code comes first on the path; the working directory, where your workflows and laneway.toml are, comes last.
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/laneway \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv/laneway
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# Of an API; workers have no port: switch it off for them.
HEALTHCHECK --interval=5s --timeout=5s --start-period=40s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["python", "-m", "app"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
