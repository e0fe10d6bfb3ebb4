package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	wideStream = 16 << 20
	wideConn   = 1<<31 - 1 - 65535
	messageIn  = 128
	// returnEvery is how much a connection takes before it opens its window again.
	returnEvery = 1 << 20
)

// peer is one HTTP/2 connection: frames in and out, written out when there is nothing more to read.
type peer struct {
	reader   *bufio.Reader
	writer   *bufio.Writer
	framer   *http2.Framer
	encoder  *hpack.Encoder
	block    bytes.Buffer
	decoder  *hpack.Decoder
	fields   []hpack.HeaderField
	pending  []byte
	received int
}

func newPeer(conn net.Conn, reader *bufio.Reader) *peer {
	p := &peer{reader: reader, writer: bufio.NewWriterSize(conn, 64<<10)}
	p.framer = http2.NewFramer(p.writer, p.reader)
	p.framer.SetReuseFrames()
	p.encoder = hpack.NewEncoder(&p.block)
	p.decoder = hpack.NewDecoder(4096, func(field hpack.HeaderField) { p.fields = append(p.fields, field) })
	return p
}

// greet announces windows that a run does not fill, so that the ends of the bench are not what is measured.
func (p *peer) greet() error {
	if err := p.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: wideStream}, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1000}, http2.Setting{ID: http2.SettingEnablePush, Val: 0}); err != nil {
		return err
	}
	return p.framer.WriteWindowUpdate(0, wideConn)
}

// returned gives the connection's window back now and then; those of the streams are wider than any call's body.
func (p *peer) returned(length uint32) error {
	p.received += int(length)
	if p.received < returnEvery {
		return nil
	}
	increment := p.received
	p.received = 0
	return p.framer.WriteWindowUpdate(0, uint32(increment))
}

func (p *peer) next() (http2.Frame, error) {
	if p.reader.Buffered() == 0 {
		if err := p.writer.Flush(); err != nil {
			return nil, err
		}
	}
	return p.framer.ReadFrame()
}

func (p *peer) encode(fields [][2]string) []byte {
	p.block.Reset()
	for _, field := range fields {
		p.encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	return p.block.Bytes()
}

// decode takes a piece of a header block; done when it was the last.
func (p *peer) decode(fragment []byte, done bool) ([]hpack.HeaderField, error) {
	p.pending = append(p.pending, fragment...)
	if !done {
		return nil, nil
	}
	p.fields = p.fields[:0]
	if _, err := p.decoder.Write(p.pending); err != nil {
		return nil, err
	}
	p.pending = p.pending[:0]
	return p.fields, p.decoder.Close()
}

// grpcMessage is a length-prefixed message of gRPC, not compressed.
func grpcMessage(size int) []byte {
	message := make([]byte, 5+size)
	binary.BigEndian.PutUint32(message[1:], uint32(size))
	return message
}

type h2Call struct {
	start time.Time
	got   answer
}

// h2Caller keeps a number of calls open on one connection.
type h2Caller struct {
	*peer
	o       *options
	nextID  uint32
	calls   map[uint32]*h2Call
	ended   bool
	message []byte
	// done is told each finished call; false ends the connection.
	done func(*h2Call) (bool, error)
}

func newH2Caller(o *options, conn net.Conn, done func(*h2Call) (bool, error)) (*h2Caller, error) {
	c := &h2Caller{peer: newPeer(conn, bufio.NewReaderSize(conn, 64<<10)), o: o, nextID: 1, calls: map[uint32]*h2Call{}, message: grpcMessage(messageIn), done: done}
	if _, err := io.WriteString(c.writer, http2.ClientPreface); err != nil {
		return nil, err
	}
	return c, c.greet()
}

func (c *h2Caller) begin() error {
	scheme := "http"
	if c.o.tls != nil {
		scheme = "https"
	}
	fields := [][2]string{{":method", "GET"}, {":scheme", scheme}, {":authority", c.o.host}, {":path", c.o.path}, {"user-agent", "loadgen"}, {"accept", "*/*"}}
	grpc := c.o.mode == "grpc"
	if grpc {
		fields = [][2]string{{":method", "POST"}, {":scheme", scheme}, {":authority", c.o.host}, {":path", c.o.path}, {"content-type", "application/grpc"}, {"te", "trailers"}, {"user-agent", "loadgen"}}
	}
	id := c.nextID
	c.nextID += 2
	c.calls[id] = &h2Call{start: time.Now()}
	if err := c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.encode(fields), EndHeaders: true, EndStream: !grpc}); err != nil || !grpc {
		return err
	}
	return c.framer.WriteData(id, true, c.message)
}

func (c *h2Caller) run(streams int) error {
	for range streams {
		if err := c.begin(); err != nil {
			return err
		}
	}
	for !c.ended {
		frame, err := c.next()
		if err != nil {
			return err
		}
		if err := c.take(frame); err != nil {
			return err
		}
	}
	return nil
}

func (c *h2Caller) take(frame http2.Frame) error {
	id := frame.Header().StreamID
	end := frame.Header().Flags.Has(http2.FlagDataEndStream)
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			return nil
		}
		if value, ok := f.Value(http2.SettingHeaderTableSize); ok {
			c.encoder.SetMaxDynamicTableSizeLimit(value)
		}
		return c.framer.WriteSettingsAck()
	case *http2.PingFrame:
		if !f.IsAck() {
			return c.framer.WritePing(true, f.Data)
		}
	case *http2.HeadersFrame:
		return c.headers(id, f.HeaderBlockFragment(), f.HeadersEnded(), end)
	case *http2.ContinuationFrame:
		return fmt.Errorf("an answer's head is longer than a frame")
	case *http2.DataFrame:
		if call := c.calls[id]; call != nil {
			call.got.size += len(f.Data())
		}
		if err := c.returned(f.Length); err != nil {
			return err
		}
		if end {
			return c.finish(id)
		}
	case *http2.RSTStreamFrame:
		return fmt.Errorf("stream reset: %v", f.ErrCode)
	case *http2.GoAwayFrame:
		return fmt.Errorf("connection ended by the proxy: %v %s", f.ErrCode, f.DebugData())
	}
	return nil
}

func (c *h2Caller) headers(id uint32, fragment []byte, ended, end bool) error {
	fields, err := c.decode(fragment, ended)
	call := c.calls[id]
	if err != nil || call == nil {
		return err
	}
	for _, field := range fields {
		switch field.Name {
		case ":status":
			call.got.status, _ = strconv.Atoi(field.Value)
		case "grpc-status":
			call.got.grpc = field.Value
		}
	}
	if end {
		return c.finish(id)
	}
	return nil
}

func (c *h2Caller) finish(id uint32) error {
	call := c.calls[id]
	delete(c.calls, id)
	if call == nil {
		return nil
	}
	more, err := c.done(call)
	if err != nil {
		return err
	}
	if !more {
		c.ended = true
		return nil
	}
	return c.begin()
}

func runH2(o *options, r *recorder, ready func()) error {
	conn, err := o.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	caller, err := newH2Caller(o, conn, func(call *h2Call) (bool, error) {
		ready()
		if err := o.checkH2(call.got); err != nil {
			return false, err
		}
		r.finished(call.start)
		return r.running(), nil
	})
	if err != nil {
		return err
	}
	return caller.run(o.streams)
}

func (o *options) checkH2(got answer) error {
	if o.mode != "grpc" {
		return o.check(got)
	}
	if got.status != 200 || got.grpc != "0" || got.size != o.size+5 {
		return fmt.Errorf("wrong answer: status %d, grpc-status %q, %d bytes", got.status, got.grpc, got.size)
	}
	return nil
}

func onceH2(o *options, conn net.Conn) (answer, error) {
	var got answer
	caller, err := newH2Caller(o, conn, func(call *h2Call) (bool, error) {
		got = call.got
		return false, nil
	})
	if err != nil {
		return got, err
	}
	return got, caller.run(1)
}
