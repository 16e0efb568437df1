# docker build -t passgate --build-arg COMMIT="$(git rev-parse --short HEAD)" .
# docker run -p 8080:8080 -v ./passgate.yaml:/etc/passgate/passgate.yaml:ro -v passgate:/data passgate

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake make gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
ARG COMMIT=""
RUN PASSGATE_COMMIT="$COMMIT" cargo build --locked --release

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin passgate \
 && install -d -o passgate -g passgate -m 0700 /data /etc/passgate
COPY --from=build /src/target/release/passgate /usr/local/bin/passgate
# Seen from here, data/…, where the database and the master secret are by default, is in the volume.
WORKDIR /
VOLUME /data
USER passgate
ENV PASSGATE_CONFIG=/etc/passgate/passgate.yaml
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["passgate", "health"]
ENTRYPOINT ["passgate"]
CMD ["serve"]
