// A client and a bundle endpoint by go-spiffe, which we did not write, for tests of ours. Prints one JSON object a line.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/signal"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/federation"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc/status"
)

func say(kind string, fields map[string]any) {
	fields["kind"] = kind
	line, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

func fail(err error) {
	say("error", map[string]any{"code": status.Code(err).String(), "message": err.Error()})
	os.Exit(1)
}

type watcher struct{}

func (watcher) OnX509ContextUpdate(update *workloadapi.X509Context) {
	svids := []map[string]any{}
	for _, svid := range update.SVIDs {
		svids = append(svids, map[string]any{"id": svid.ID.String(), "serial": fmt.Sprintf("%x", svid.Certificates[0].SerialNumber), "chain": len(svid.Certificates)})
	}
	say("x509", map[string]any{"svids": svids, "bundles": domains(update.Bundles.Bundles())})
}

func (watcher) OnX509ContextWatchError(err error) {
	say("x509-error", map[string]any{"code": status.Code(err).String()})
}

func (watcher) OnX509BundlesUpdate(update *x509bundle.Set) {
	say("x509-bundles", map[string]any{"bundles": domains(update.Bundles())})
}

func (watcher) OnX509BundlesWatchError(err error) {
	say("x509-bundles-error", map[string]any{"code": status.Code(err).String()})
}

func (watcher) OnJWTBundlesUpdate(update *jwtbundle.Set) {
	keys := map[string]int{}
	for _, bundle := range update.Bundles() {
		keys[bundle.TrustDomain().Name()] = len(bundle.JWTAuthorities())
	}
	say("jwt-bundles", map[string]any{"keys": keys})
}

func (watcher) OnJWTBundlesWatchError(err error) {
	say("jwt-bundles-error", map[string]any{"code": status.Code(err).String()})
}

func domains(bundles []*x509bundle.Bundle) map[string]int {
	roots := map[string]int{}
	for _, bundle := range bundles {
		roots[bundle.TrustDomain().Name()] = len(bundle.X509Authorities())
	}
	return roots
}

// watch SOCKET: follows SVIDs and bundles until it is interrupted.
func watch(ctx context.Context, socket string) {
	client, err := workloadapi.New(ctx, workloadapi.WithAddr(socket))
	if err != nil {
		fail(err)
	}
	defer client.Close()
	go client.WatchX509Bundles(ctx, watcher{})
	go client.WatchJWTBundles(ctx, watcher{})
	if err := client.WatchX509Context(ctx, watcher{}); err != nil && ctx.Err() == nil {
		fail(err)
	}
}

// jwt SOCKET AUDIENCE: fetches a JWT-SVID, validates it here by the JWT bundles and there by the Workload API.
func jwt(ctx context.Context, socket, audience string) {
	client, err := workloadapi.New(ctx, workloadapi.WithAddr(socket))
	if err != nil {
		fail(err)
	}
	defer client.Close()
	svid, err := client.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
	if err != nil {
		fail(err)
	}
	bundles, err := client.FetchJWTBundles(ctx)
	if err != nil {
		fail(err)
	}
	here, err := jwtsvid.ParseAndValidate(svid.Marshal(), bundles, []string{audience})
	if err != nil {
		fail(err)
	}
	there, err := client.ValidateJWTSVID(ctx, svid.Marshal(), audience)
	if err != nil {
		fail(err)
	}
	say("jwt", map[string]any{"here": here.ID.String(), "there": there.ID.String(), "audience": there.Audience})
}

// fetch DOMAIN URL [ENDPOINT-ID BUNDLE-FILE]: reads a bundle endpoint by https_web, or by https_spiffe.
func fetch(ctx context.Context, args []string) {
	domain := spiffeid.RequireTrustDomainFromString(args[0])
	options := []federation.FetchOption{}
	if len(args) == 4 {
		bundle, err := spiffebundle.Load(domain, args[3])
		if err != nil {
			fail(err)
		}
		options = append(options, federation.WithSPIFFEAuth(bundle, spiffeid.RequireFromString(args[2])))
	}
	bundle, err := federation.FetchBundle(ctx, domain, args[1], options...)
	if err != nil {
		fail(err)
	}
	sequence, _ := bundle.SequenceNumber()
	hint, _ := bundle.RefreshHint()
	say("bundle", map[string]any{"roots": len(bundle.X509Authorities()), "keys": len(bundle.JWTAuthorities()), "sequence": sequence, "hint": hint.Seconds()})
}

// serve DOMAIN BUNDLE-FILE CERT-FILE KEY-FILE: a bundle endpoint of a foreign trust domain.
func serve(args []string) {
	domain := spiffeid.RequireTrustDomainFromString(args[0])
	bundle, err := spiffebundle.Load(domain, args[1])
	if err != nil {
		fail(err)
	}
	handler, err := federation.NewHandler(domain, bundle)
	if err != nil {
		fail(err)
	}
	fail(http.ListenAndServeTLS(args[4], args[2], args[3], handler))
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	switch os.Args[1] {
	case "watch":
		watch(ctx, os.Args[2])
	case "jwt":
		jwt(ctx, os.Args[2], os.Args[3])
	case "fetch":
		fetch(ctx, os.Args[2:])
	case "serve":
		serve(os.Args[2:])
	default:
		panic("watch, jwt, fetch or serve")
	}
}
