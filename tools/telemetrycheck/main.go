// Telemetrycheck lets other people's code judge what the proxy's telemetry emits.
//
//	telemetrycheck metrics < text   reads Prometheus' text format with its own parser and linter; prints problems
//	telemetrycheck otlp PORT        the OpenTelemetry Collector's OTLP receiver on 127.0.0.1; prints each batch of spans
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "metrics" {
		fail(metrics())
	} else if len(os.Args) == 3 && os.Args[1] == "otlp" {
		fail(otlp(os.Args[2]))
	} else {
		fail(fmt.Errorf("usage: telemetrycheck metrics | otlp PORT"))
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func metrics() error {
	problems, err := promlint.New(os.Stdin).Lint()
	if err != nil {
		return err
	}
	texts := []string{}
	for _, problem := range problems {
		texts = append(texts, problem.Metric+": "+problem.Text)
	}
	return json.NewEncoder(os.Stdout).Encode(texts)
}

func otlp(port string) error {
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	given := confmap.NewFromStringMap(map[string]any{
		"protocols": map[string]any{"http": map[string]any{"endpoint": "127.0.0.1:" + port, "include_metadata": true}},
	})
	if err := given.Unmarshal(config); err != nil {
		return err
	}
	sink, err := consumer.NewTraces(printer())
	if err != nil {
		return err
	}
	receiver, err := factory.CreateTraces(context.Background(), receivertest.NewNopSettings(factory.Type()), config, sink)
	if err != nil {
		return err
	}
	if err := receiver.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		return err
	}
	fmt.Println(`{"ready":true}`)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
	return receiver.Shutdown(context.Background())
}

func printer() consumer.ConsumeTracesFunc {
	var turn sync.Mutex
	marshaler := &ptrace.JSONMarshaler{}
	return func(ctx context.Context, batch ptrace.Traces) error {
		text, err := marshaler.MarshalTraces(batch)
		if err != nil {
			return err
		}
		turn.Lock()
		defer turn.Unlock()
		token := client.FromContext(ctx).Metadata.Get("x-token")
		return json.NewEncoder(os.Stdout).Encode(map[string]any{"token": token, "traces": json.RawMessage(text)})
	}
}
