// A Vault in memory: its core, its HTTP API and its PKI engine, as the dev mode of the program has them. The program
// itself brings some forty plugins of clouds and databases along, and does not build outside of its repository. Its
// licence (BUSL 1.1) allows use that is no production: it is built for tests, and nothing of it is in what we give out.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/builtin/logical/pki"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

// Prints the address and the root token on one line, then serves until it is ended.
func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	logger := hclog.New(&hclog.LoggerOptions{Output: os.Stderr, Level: hclog.Warn})
	storage, err := inmem.NewInmem(nil, logger)
	if err != nil {
		return err
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:        storage,
		LogicalBackends: map[string]logical.Factory{"pki": pki.Factory},
		BuiltinRegistry: onlyPki{},
		DisableMlock:    true,
		Logger:          logger,
	})
	if err != nil {
		return err
	}
	made, err := core.Initialize(context.Background(), &vault.InitParams{BarrierConfig: &vault.SealConfig{SecretShares: 1, SecretThreshold: 1}})
	if err != nil {
		return err
	}
	if unsealed, err := core.Unseal(made.SecretShares[0]); err != nil || !unsealed {
		return fmt.Errorf("not unsealed: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s %s\n", listener.Addr(), made.RootToken)
	return http.Serve(listener, vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core, ListenerConfig: &configutil.Listener{Type: "tcp"}}))
}

// The plugins that this Vault knows beside its core's own.
type onlyPki struct{}

func (onlyPki) Contains(name string, kind consts.PluginType) bool {
	return name == "pki" && (kind == consts.PluginTypeSecrets || kind == consts.PluginTypeUnknown)
}

func (r onlyPki) Get(name string, kind consts.PluginType) (func() (interface{}, error), bool) {
	return func() (interface{}, error) { return pki.Factory, nil }, r.Contains(name, kind)
}

func (onlyPki) Keys(kind consts.PluginType) []string {
	if kind == consts.PluginTypeSecrets {
		return []string{"pki"}
	}
	return nil
}

func (r onlyPki) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, r.Contains(name, kind)
}

func (onlyPki) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
