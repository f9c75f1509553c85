#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An OpenTelemetry Collector with the OTLP receiver, HTTP on PORT and gRPC on PORT + 1; what it receives
# goes to PLACE/profiles.jsonl, a request a line.
name=otelcol version=v0.162.0 stable=v1.68.0
module=csample.test/otelcol sum=

build_in() {
	core=go.opentelemetry.io/collector
	contrib=github.com/open-telemetry/opentelemetry-collector-contrib
	cat >go.mod <<-MOD
		module $module

		go 1.26

		require (
			$core/otelcol $version
			$core/receiver/otlpreceiver $version
			$contrib/exporter/fileexporter $version
			$core/confmap/provider/fileprovider $stable
		)
	MOD
	cat >main.go <<-GO
		package main

		import (
			"os"

			"$core/component"
			"$core/confmap"
			"$core/confmap/provider/fileprovider"
			"$core/exporter"
			"$core/otelcol"
			"$core/receiver"
			"$core/receiver/otlpreceiver"
			"$core/service/telemetry/otelconftelemetry"

			"$contrib/exporter/fileexporter"
		)

		func parts() (f otelcol.Factories, err error) {
			f.Telemetry = otelconftelemetry.NewFactory()
			if f.Receivers, err = otelcol.MakeFactoryMap[receiver.Factory](otlpreceiver.NewFactory()); err == nil {
				f.Exporters, err = otelcol.MakeFactoryMap[exporter.Factory](fileexporter.NewFactory())
			}
			return f, err
		}

		func main() {
			settings := otelcol.CollectorSettings{BuildInfo: component.BuildInfo{Command: "otelcol", Version: "$version"}}
			settings.Factories = parts
			resolver := &settings.ConfigProviderSettings.ResolverSettings
			resolver.ProviderFactories = []confmap.ProviderFactory{fileprovider.NewFactory()}
			resolver.DefaultScheme = "file"
			if otelcol.NewCommand(settings).Execute() != nil {
				os.Exit(1)
			}
		}
	GO
	"$go" build -mod=mod -p 2 -trimpath -buildvcs=false -ldflags='-s -w' -o "$1" .
}

serve() {
	cat >config.yaml <<-YAML
		receivers:
		  otlp:
		    protocols:
		      http: {endpoint: "127.0.0.1:$port"}
		      grpc: {endpoint: "127.0.0.1:$((port + 1))"}
		exporters:
		  file: {path: ./profiles.jsonl, append: true, flush_interval: 50ms}
		service:
		  telemetry:
		    metrics: {level: none}
		  pipelines:
		    profiles: {receivers: [otlp], exporters: [file]}
	YAML
	exec "$program" --config=file:config.yaml --feature-gates=+service.profilesSupport "$@"
}

. "$(dirname "$0")/lib.sh"
