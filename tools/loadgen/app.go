package main

import (
	"bufio"
	"bytes"
	"flag"
	"io"
	"net"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
)

const h2Frame = 16 << 10

var body = make([]byte, 1<<20)

// serveApp answers HTTP/1.1 and HTTP/2 without TLS on one port, and sends bulk on the other.
func serveApp(args []string) error {
	set := flag.NewFlagSet("app", flag.ContinueOnError)
	listen, bulk := set.String("listen", "", ""), set.String("bulk", "", "")
	if err := set.Parse(args); err != nil {
		return err
	}
	bulkListener, err := net.Listen("tcp", *bulk)
	if err != nil {
		return err
	}
	go accept(bulkListener, serveBulk)
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	return accept(listener, serveHTTP)
}

func accept(listener net.Listener, serve func(net.Conn)) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			serve(conn)
		}()
	}
}

func serveBulk(conn net.Conn) {
	first := make([]byte, 2)
	if _, err := io.ReadFull(conn, first); err != nil {
		return
	}
	for {
		if _, err := conn.Write(bulkPattern[:bulkChunk]); err != nil {
			return
		}
	}
}

// sizeOf reads the size of the answer from the end of a path such as /items/1024.
func sizeOf(path string) int {
	size, err := strconv.Atoi(path[strings.LastIndexByte(path, '/')+1:])
	if err != nil || size > len(body) {
		return 1024
	}
	return size
}

func serveHTTP(conn net.Conn) {
	reader := bufio.NewReaderSize(conn, 64<<10)
	start, err := reader.Peek(3)
	if err != nil {
		return
	}
	if string(start) == "PRI" {
		reader.Discard(len(http2.ClientPreface))
		_ = newServerPeer(conn, reader).serve()
		return
	}
	answers := map[int][]byte{}
	for serveH1(conn, reader, answers) {
	}
}

// serveH1 answers one call without a body; the bench makes no others in HTTP/1.1.
func serveH1(conn net.Conn, reader *bufio.Reader, answers map[int][]byte) bool {
	line, err := reader.ReadSlice('\n')
	if err != nil {
		return false
	}
	parts := bytes.SplitN(line, []byte(" "), 3)
	if len(parts) < 3 {
		return false
	}
	size := sizeOf(string(parts[1]))
	for len(line) > 2 {
		if line, err = reader.ReadSlice('\n'); err != nil {
			return false
		}
	}
	full := answers[size]
	if full == nil {
		full = append([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: "+strconv.Itoa(size)+"\r\n\r\n"), body[:size]...)
		answers[size] = full
	}
	_, err = conn.Write(full)
	return err == nil
}

// sending is an answer of which a part still waits for a window.
type sending struct {
	id     uint32
	rest   []byte
	grpc   bool
	begun  bool
	window int64
}

type serverPeer struct {
	*peer
	window, initial int64
	open            map[uint32]*sending
}

func newServerPeer(conn net.Conn, reader *bufio.Reader) *serverPeer {
	return &serverPeer{peer: newPeer(conn, reader), window: 65535, initial: 65535, open: map[uint32]*sending{}}
}

func (s *serverPeer) serve() error {
	if err := s.greet(); err != nil {
		return err
	}
	for {
		frame, err := s.next()
		if err != nil {
			return err
		}
		if err := s.take(frame); err != nil {
			return err
		}
	}
}

func (s *serverPeer) take(frame http2.Frame) error {
	id := frame.Header().StreamID
	end := frame.Header().Flags.Has(http2.FlagDataEndStream)
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		return s.settings(f)
	case *http2.PingFrame:
		if !f.IsAck() {
			return s.framer.WritePing(true, f.Data)
		}
	case *http2.WindowUpdateFrame:
		return s.widen(id, int64(f.Increment))
	case *http2.RSTStreamFrame:
		delete(s.open, id)
	case *http2.HeadersFrame:
		fields, err := s.decode(f.HeaderBlockFragment(), f.HeadersEnded())
		if err != nil {
			return err
		}
		call := &sending{id: id, window: s.initial}
		for _, field := range fields {
			switch field.Name {
			case ":path":
				call.rest = body[:sizeOf(field.Value)]
			case "content-type":
				call.grpc = strings.HasPrefix(field.Value, "application/grpc")
			}
		}
		s.open[id] = call
	case *http2.DataFrame:
		if err := s.returned(f.Length); err != nil {
			return err
		}
	}
	if call := s.open[id]; end && call != nil {
		return s.answer(call)
	}
	return nil
}

func (s *serverPeer) settings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	if value, ok := f.Value(http2.SettingInitialWindowSize); ok {
		for _, each := range s.open {
			each.window += int64(value) - s.initial
		}
		s.initial = int64(value)
	}
	// RFC 9113 §6.5.2: how far our compressor may use the dynamic table; nginx allows nothing.
	if value, ok := f.Value(http2.SettingHeaderTableSize); ok {
		s.encoder.SetMaxDynamicTableSizeLimit(value)
	}
	if err := s.framer.WriteSettingsAck(); err != nil {
		return err
	}
	return s.sendAll()
}

func (s *serverPeer) widen(id uint32, by int64) error {
	if id != 0 {
		if each := s.open[id]; each != nil {
			each.window += by
			return s.send(each)
		}
		return nil
	}
	s.window += by
	return s.sendAll()
}

func (s *serverPeer) sendAll() error {
	for _, each := range s.open {
		if err := s.send(each); err != nil {
			return err
		}
	}
	return nil
}

func (s *serverPeer) answer(call *sending) error {
	fields := [][2]string{{":status", "200"}, {"content-type", "application/octet-stream"}, {"content-length", strconv.Itoa(len(call.rest))}}
	if call.grpc {
		fields = [][2]string{{":status", "200"}, {"content-type", "application/grpc"}}
		call.rest = grpcMessage(len(call.rest))
	}
	if err := s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: call.id, BlockFragment: s.encode(fields), EndHeaders: true}); err != nil {
		return err
	}
	call.begun = true
	return s.send(call)
}

func (s *serverPeer) send(call *sending) error {
	if !call.begun {
		return nil
	}
	for len(call.rest) > 0 {
		n := min(int64(len(call.rest)), h2Frame, call.window, s.window)
		if n <= 0 {
			return nil
		}
		piece := call.rest[:n]
		call.rest = call.rest[n:]
		call.window -= n
		s.window -= n
		if err := s.framer.WriteData(call.id, len(call.rest) == 0 && !call.grpc, piece); err != nil {
			return err
		}
	}
	delete(s.open, call.id)
	if !call.grpc {
		return nil
	}
	return s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: call.id, BlockFragment: s.encode([][2]string{{"grpc-status", "0"}}), EndHeaders: true, EndStream: true})
}
