#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Parca. With SCRAPE=HOST:PORT it also scrapes that every 10 seconds, or every SCRAPE_EVERY.
name=parca version=v0.28.0
module=github.com/parca-dev/parca sum=h1:9FgGR28RTRNMfDKZv0HAbkk06Z3Id7+HZ0KB4YD9If8=

build_in() {
	# Its user interface is not in the module, but something has to be embedded.
	ui=ui/packages/app/web/build
	mkdir -p $ui
	[ -e $ui/keep.go ] || echo none >$ui/none.txt
	"$go" build -p 2 -trimpath -buildvcs=false -ldflags='-s -w' -o "$1" ./cmd/parca
}

serve() {
	printf 'object_storage:\n  bucket: {type: FILESYSTEM, config: {directory: ./bucket}}\n' >config.yaml
	if [ -n "${SCRAPE:-}" ]; then
		cat >>config.yaml <<-YAML
			scrape_configs:
			  - job_name: csample
			    scrape_interval: ${SCRAPE_EVERY:-10s}
			    static_configs: [{targets: ['$SCRAPE']}]
			    profiling_config:
			      pprof_config:
			        memory: {enabled: false}
			        block: {enabled: false}
			        mutex: {enabled: false}
			        goroutine: {enabled: false}
		YAML
	fi
	exec "$program" --config-path=config.yaml --http-address="127.0.0.1:$port" --storage-path=storage \
		--debuginfo-cache-dir=debuginfo --debuginfod-upstream-servers=http://127.0.0.1:9 "$@"
}

. "$(dirname "$0")/lib.sh"
