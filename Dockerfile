# The container image: ./dev image, or docker build -t sluice:dev .

FROM debian:trixie-slim AS build
WORKDIR /src
# The script alone first, so that a change of the sources does not install the packages anew.
COPY dev ./
RUN ./dev setup build && rm -rf /var/lib/apt/lists/*
COPY . .
RUN ./dev build && install -D -s -t /image/usr/local/bin build/sluice build/sluice-demo

FROM debian:trixie-slim
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates \
        libcurl4t64 \
        libhiredis1.1.0 \
        libjansson4 \
        libjwt2 \
        libmicrohttpd12t64 \
        libnats3.10 \
        libssl3t64 \
        libunistring5 \
        libyajl2 \
        zlib1g \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log
COPY --from=build /image/ /
COPY LICENSE /usr/share/doc/sluice/LICENSE
# A library that is missing above must fail the build, not the first start.
RUN ["/usr/local/bin/sluice", "--version"]
RUN ["/usr/local/bin/sluice-demo", "--help"]

ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Sluice" \
      org.opencontainers.image.description="A NATS-to-SSE bridge: company-scoped Server-Sent Events with a 24-hour replay" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.base.name="docker.io/library/debian:trixie-slim"

# A number, so that an orchestrator can see that it is not root; it owns nothing and needs no home.
USER 65532:65532
EXPOSE 3007
STOPSIGNAL SIGTERM
# Asks whether the process runs, not whether NATS does: an outage of NATS must not get the container
# replaced. The port is that of PORT_ANALYTICS.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["/usr/local/bin/sluice", "--probe"]
ENTRYPOINT ["/usr/local/bin/sluice"]
