# ablate on CPUs, with the versions that it is tested with (docs/docker.md):  docker build -t ablate .
FROM python:3.11-slim-bookworm

# What /studies holds is this user's:  docker build --build-arg UID=$(id -u) -t ablate .
ARG UID=1000
RUN useradd --uid "$UID" --create-home ablate && install --directory --owner=ablate /studies

# torch's build for CPUs, which leaves out gigabytes of CUDA; what torch needs comes with the rest.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY . /src
RUN pip install --no-cache-dir --constraint /src/constraints.txt --no-deps --index-url "$TORCH_INDEX" torch \
    && pip install --no-cache-dir --constraint /src/constraints.txt /src

USER $UID
WORKDIR /studies
ENV RAY_USAGE_STATS_ENABLED=0
ENTRYPOINT ["ablate"]
CMD ["--help"]
