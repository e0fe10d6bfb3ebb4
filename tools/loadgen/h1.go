package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// h1Caller makes prebuilt calls over one connection and reads the answers to their end.
type h1Caller struct {
	conn    net.Conn
	reader  *bufio.Reader
	request []byte
}

func newH1Caller(o *options, conn net.Conn) *h1Caller {
	request := "GET " + o.path + " HTTP/1.1\r\nHost: " + o.host + "\r\nUser-Agent: loadgen\r\nAccept: */*\r\n\r\n"
	return &h1Caller{conn: conn, reader: bufio.NewReaderSize(conn, 64<<10), request: []byte(request)}
}

func (c *h1Caller) call() (answer, error) {
	if _, err := c.conn.Write(c.request); err != nil {
		return answer{}, err
	}
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return answer{}, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return answer{}, fmt.Errorf("not an answer: %q", line)
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return answer{}, err
	}
	length, err := c.readFields()
	if err != nil {
		return answer{}, err
	}
	if length < 0 {
		length, err = c.discardChunks()
	} else {
		_, err = c.reader.Discard(length)
	}
	return answer{status: status, size: length}, err
}

// readFields reads the fields and tells the length of the body, -1 for chunks.
func (c *h1Caller) readFields() (int, error) {
	length := 0
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			return length, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, err
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			length = -1
		}
	}
}

func (c *h1Caller) discardChunks() (int, error) {
	total := 0
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		size, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return 0, err
		}
		if _, err := c.reader.Discard(int(size) + 2); err != nil {
			return 0, err
		}
		if size == 0 {
			return total, nil
		}
		total += int(size)
	}
}

func (o *options) check(got answer) error {
	if got.status != 200 || got.size != o.size {
		return fmt.Errorf("wrong answer: status %d with %d bytes, expected 200 with %d", got.status, got.size, o.size)
	}
	return nil
}

func runH1(o *options, r *recorder, ready func()) error {
	conn, err := o.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	caller := newH1Caller(o, conn)
	for r.running() {
		if err := oneCall(o, r, caller, time.Now()); err != nil {
			return err
		}
		ready()
	}
	return nil
}

func runH1New(o *options, r *recorder, ready func()) error {
	for r.running() {
		start := time.Now()
		conn, err := o.dial()
		if err != nil {
			return err
		}
		err = oneCall(o, r, newH1Caller(o, conn), start)
		conn.Close()
		if err != nil {
			return err
		}
		ready()
	}
	return nil
}

func oneCall(o *options, r *recorder, caller *h1Caller, start time.Time) error {
	got, err := caller.call()
	if err == nil {
		err = o.check(got)
	}
	if err == nil {
		r.finished(start)
	}
	return err
}

// bulkPattern is what the application sends for ever in bulk, twice, so that any piece of one length can be compared.
var bulkPattern = func() []byte {
	pattern := make([]byte, 2*bulkChunk)
	for i := range bulkChunk {
		pattern[i] = byte(i * 7 % 251)
		pattern[i+bulkChunk] = pattern[i]
	}
	return pattern
}()

const bulkChunk = 64 << 10

// bulkReader asks for the stream and compares every byte of it.
func bulkReader(conn net.Conn, took func(int) bool) error {
	if _, err := conn.Write([]byte("go")); err != nil {
		return err
	}
	buffer, offset := make([]byte, bulkChunk), 0
	for {
		n, err := conn.Read(buffer)
		if n > 0 && !bytes.Equal(buffer[:n], bulkPattern[offset:offset+n]) {
			return fmt.Errorf("a byte of the stream is wrong")
		}
		offset = (offset + n) % bulkChunk
		if n > 0 && !took(n) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func runTCP(o *options, r *recorder, ready func()) error {
	conn, err := o.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	return bulkReader(conn, func(n int) bool {
		ready()
		if r.phase.Load() == measuring {
			r.bytes.Add(int64(n))
		}
		return r.running()
	})
}

func onceTCP(conn net.Conn) (answer, error) {
	total := 0
	err := bulkReader(conn, func(n int) bool {
		total += n
		return total < 1<<20
	})
	if err == io.EOF {
		return answer{status: 0, size: total}, nil
	}
	return answer{status: 200, size: total}, err
}
