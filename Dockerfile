# The tied-tables command in a container.
# Build: docker build --build-arg VERSION=0.1.0 -t tied-tables .
# Run:   docker run --rm -u "$(id -u)" -v "$PWD:/data" tied-tables check rows.csv
FROM python:3.13-slim AS build
ARG VERSION=0.1.0.dev0
COPY tied-tables /source
RUN python -m venv /opt/tied-tables \
  && SETUPTOOLS_SCM_PRETEND_VERSION=$VERSION \
     /opt/tied-tables/bin/pip install --no-cache-dir "/source[cli,excel,onnx,sql]"

FROM python:3.13-slim
COPY --from=build /opt/tied-tables /opt/tied-tables
ENV PATH=/opt/tied-tables/bin:$PATH MPLCONFIGDIR=/tmp/matplotlib
WORKDIR /data
USER 1000
ENTRYPOINT ["tied-tables"]
CMD ["--help"]
