# netprobe as an image. Build it from a checkout:
#
#   docker build -t netprobe .
#
# Look at this host's namespaces and containers (the README says what each part is for, and `netprobe doctor` what is lacking):
#
#   docker run --rm --pid=host --cap-drop=ALL \
#       --cap-add=SYS_ADMIN --cap-add=SYS_PTRACE --cap-add=NET_RAW --cap-add=NET_ADMIN \
#       netprobe trace c1 8.8.8.8
#
# Build without a way out: wheels/ is in the checkout, and /source/wheels in the image that builds; BASE is an image that is there.
#
#   pip wheel --wheel-dir wheels . hatchling
#   docker build --build-arg PIP_ARGS='--no-index --find-links /source/wheels' --build-arg BASE=python:3.11-slim -t netprobe .

ARG BASE=python:3.11-slim

FROM ${BASE} AS build
ARG PIP_ARGS=""
COPY . /source
RUN python3 -m venv /opt/netprobe \
 && /opt/netprobe/bin/python -m pip install --no-cache-dir --disable-pip-version-check ${PIP_ARGS} /source \
 && /opt/netprobe/bin/python -m pip uninstall --yes --quiet pip

FROM ${BASE}
# Rulesets are read with the host's own vocabulary: nft for one engine, iptables-legacy-save for the other. A base that has both is left alone.
RUN for command in nft iptables-save; do command -v "$command" >/dev/null || missing=yes; done; \
    if [ "${missing:-}" ]; then \
      apt-get update && apt-get install --yes --no-install-recommends nftables iptables && rm -rf /var/lib/apt/lists/*; \
    fi
COPY --from=build /opt/netprobe /opt/netprobe
ENV PATH=/opt/netprobe/bin:$PATH NETPROBE_CAPTURES=none
ENTRYPOINT ["netprobe"]
CMD ["--help"]
