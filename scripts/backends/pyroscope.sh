#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Grafana Pyroscope. Takes four ports from PORT on (HTTP, gRPC, two of its own).
name=pyroscope version=v1.21.1
module=github.com/grafana/pyroscope sum=h1:R+DefAS6HP000tyf/oP1bvH6rk08khJ2ARtII2pmuMQ=
api=v1.5.0 # the module has it in a folder that an archive of modules cannot hold

build_in() {
	"$go" mod edit -replace "$module/api=$module/api@$api"
	"$go" build -mod=mod -p 2 -trimpath -buildvcs=false -ldflags='-s -w' -o "$1" ./cmd/pyroscope
}

serve() {
	host=127.0.0.1
	exec "$program" -target=all -config.show_banner=false -usage-stats.enabled=false \
		-self-profiling.disable-push \
		-server.http-listen-address=$host -server.http-listen-port="$port" \
		-server.grpc-listen-address=$host -server.grpc-listen-port=$((port + 1)) \
		-memberlist.bind-addr=$host -memberlist.advertise-addr=$host -memberlist.bind-port=$((port + 2)) \
		-distributor.ring.instance-addr=$host -compactor.ring.instance-addr=$host \
		-overrides-exporter.ring.instance-addr=$host -query-frontend.instance-addr=$host \
		-query-scheduler.ring.instance-addr=$host -store-gateway.sharding-ring.instance-addr=$host \
		-ingester.lifecycler.addr=$host -ingester.min-ready-duration=0s \
		-pyroscopedb.data-path=db -compactor.data-dir=compactor -blocks-storage.bucket-store.sync-dir=sync \
		-storage.backend=filesystem -storage.filesystem.dir=shared "$@"
}

. "$(dirname "$0")/lib.sh"
