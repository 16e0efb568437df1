# docker build -t passgate --build-arg COMMIT="$(git rev-parse --short HEAD)" .
# docker run -p 8080:8080 -v ./passgate.yaml:/etc/passgate/passgate.yaml:ro -v passgate:/data \
#   --read-only --cap-drop ALL --security-opt no-new-privileges --stop-timeout 40 passgate
#
# The configuration wants `server.listen: 0.0.0.0:8080`. --stop-timeout is longer than `server.drain`, or Docker ends
# after 10 s what is still in flight. Nothing but /data is written, so there is no need of a /tmp.

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
 # Of group 0, for platforms that choose a user by themselves (OpenShift): whoever that is, is in it.
 && install -d -o passgate -g root -m 0770 /data \
 && install -d -m 0755 /etc/passgate
COPY --from=build /src/target/release/passgate /usr/local/bin/passgate
# Seen from here, data/…, where the database and the master secret are by default, is in the volume.
WORKDIR /
VOLUME /data
# By number: a name would not tell Kubernetes that this is not root (runAsNonRoot).
USER 10001
ENV PASSGATE_CONFIG=/etc/passgate/passgate.yaml
# Where SQLite puts what does not fit into memory during an import and other large steps: /tmp may be read-only.
ENV SQLITE_TMPDIR=/data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["passgate", "health"]
ENTRYPOINT ["passgate"]
CMD ["serve"]
