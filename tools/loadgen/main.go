// Command loadgen is both ends of the data-plane bench: the application behind the proxies and the callers before them.
//
//	loadgen app   -listen ADDR -bulk ADDR      serves until it is killed
//	loadgen load  -mode MODE -addr ADDR ...    warms, measures, prints one JSON object
//	loadgen once  -mode MODE -addr ADDR ...    makes one call and prints what came back
//	loadgen hold  -addr ADDR -conns N ...      opens idle connections, prints "ready", waits for the end of its input
//
// Modes: h1, h1new (a connection for each call), h2, grpc, tcp (bulk from the application).
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

type options struct {
	mode, addr, host, path string
	conns, streams, size   int
	warm, length           time.Duration
	pids                   []int
	tls                    *tls.Config
}

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("say app, load, once or hold"))
	}
	command, args := os.Args[1], os.Args[2:]
	if command == "app" {
		fail(serveApp(args))
	}
	o, err := readOptions(args)
	if err != nil {
		fail(err)
	}
	switch command {
	case "load":
		result, err := measure(o)
		if err != nil {
			fail(err)
		}
		print(result)
	case "once":
		print(once(o))
	case "hold":
		fail(hold(o))
	default:
		fail(fmt.Errorf("unknown command %s", command))
	}
}

func readOptions(args []string) (*options, error) {
	o := &options{}
	set := flag.NewFlagSet("loadgen", flag.ContinueOnError)
	set.StringVar(&o.mode, "mode", "h1", "")
	set.StringVar(&o.addr, "addr", "", "")
	set.StringVar(&o.host, "host", "api.pay", "")
	set.StringVar(&o.path, "path", "/", "")
	set.IntVar(&o.conns, "conns", 1, "")
	set.IntVar(&o.streams, "streams", 1, "")
	set.IntVar(&o.size, "size", 1024, "")
	set.DurationVar(&o.warm, "warm", 200*time.Millisecond, "")
	set.DurationVar(&o.length, "time", time.Second, "")
	pids := set.String("pids", "", "")
	cert, key, ca := set.String("cert", "", ""), set.String("key", "", ""), set.String("ca", "", "")
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	for _, pid := range strings.FieldsFunc(*pids, func(r rune) bool { return r == ',' }) {
		number, err := strconv.Atoi(pid)
		if err != nil {
			return nil, err
		}
		o.pids = append(o.pids, number)
	}
	if *cert == "" {
		return o, nil
	}
	config, err := clientTLS(*cert, *key, *ca)
	o.tls = config
	return o, err
}

// clientTLS checks the server's chain and no host name: the names of a mesh are SPIFFE IDs.
func clientTLS(cert, key, ca string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	verify := func(state tls.ConnectionState) error {
		between := x509.NewCertPool()
		for _, each := range state.PeerCertificates[1:] {
			between.AddCert(each)
		}
		leaf := state.PeerCertificates[0]
		leaf.UnhandledCriticalExtensions = nil
		_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
		return err
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, VerifyConnection: verify, ServerName: "api", SessionTicketsDisabled: true}, nil
}

func (o *options) dial() (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", o.addr, 5*time.Second)
	if err != nil || o.tls == nil {
		return conn, err
	}
	config := o.tls
	if o.mode == "h2" || o.mode == "grpc" {
		config = config.Clone()
		config.NextProtos = []string{"h2"}
	}
	secure := tls.Client(conn, config)
	if err := secure.Handshake(); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

func hold(o *options) error {
	for range o.conns {
		conn, err := o.dial()
		if err != nil {
			return err
		}
		defer conn.Close()
		got, err := newH1Caller(o, conn).call()
		if err == nil {
			err = o.check(got)
		}
		if err != nil {
			return fmt.Errorf("the first call of an idle connection: %w", err)
		}
	}
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
	return err
}

func print(value any) {
	text, err := json.Marshal(value)
	if err != nil {
		fail(err)
	}
	fmt.Println(string(text))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "loadgen:", err)
	os.Exit(1)
}
