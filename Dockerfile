# The command keras-tied:  docker build --build-arg VERSION=0.1.0 -t keras-tied .
#                          docker run --rm -u "$(id -u)" -v "$PWD:/data" tied-tables check rows.csv
FROM python:3.13-slim AS build
ARG VERSION=0.1.0.dev0
COPY . /source
RUN python -m venv /opt/keras-tied \
  && SETUPTOOLS_SCM_PRETEND_VERSION=$VERSION \
     /opt/keras-tied/bin/pip install --no-cache-dir "/source[cli,excel,onnx,sql]"

FROM python:3.13-slim
COPY --from=build /opt/keras-tied /opt/keras-tied
ENV PATH=/opt/keras-tied/bin:$PATH KERAS_HOME=/tmp/keras MPLCONFIGDIR=/tmp/matplotlib
WORKDIR /data
USER 1000
ENTRYPOINT ["keras-tied"]
CMD ["--help"]
