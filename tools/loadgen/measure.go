package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	warming = iota
	measuring
	stopped
)

// answer is what one call came to.
type answer struct {
	status int
	grpc   string
	size   int
}

// result is what a measurement prints. For bulk a request is a MiB, and there are no latencies.
type result struct {
	Requests  float64 `json:"requests"`
	Seconds   float64 `json:"seconds"`
	P50       float64 `json:"p50Ms"`
	P99       float64 `json:"p99Ms"`
	CPUMicros float64 `json:"cpuMicros"`
}

// recorder is shared by all callers of a measurement.
type recorder struct {
	phase   atomic.Int32
	bytes   atomic.Int64
	mu      sync.Mutex
	samples []uint32
	problem error
}

func (r *recorder) running() bool { return r.phase.Load() != stopped }

// finished takes a call that began at start; it counts when it ends within the window.
func (r *recorder) finished(start time.Time) {
	if r.phase.Load() != measuring {
		return
	}
	took := time.Since(start)
	r.mu.Lock()
	r.samples = append(r.samples, uint32(took/time.Microsecond))
	r.mu.Unlock()
}

func (r *recorder) failed(err error) {
	if !r.running() {
		return
	}
	r.mu.Lock()
	if r.problem == nil {
		r.problem = err
	}
	r.mu.Unlock()
	r.phase.Store(stopped)
}

// measure opens the connections, lets them work for the warm time, then counts for the length of the window.
func measure(o *options) (*result, error) {
	r := &recorder{samples: make([]uint32, 0, 1<<20)}
	run, known := map[string]func(*options, *recorder, func()) error{"h1": runH1, "h1new": runH1New, "h2": runH2, "grpc": runH2, "tcp": runTCP}[o.mode]
	if !known {
		return nil, fmt.Errorf("unknown mode %s", o.mode)
	}
	var connected sync.WaitGroup
	connected.Add(o.conns)
	for range o.conns {
		go func() {
			ready := sync.OnceFunc(connected.Done)
			if err := run(o, r, ready); err != nil {
				r.failed(err)
			}
			ready()
		}()
	}
	connected.Wait()
	time.Sleep(o.warm)
	before, start := cpuMicros(o.pids), time.Now()
	r.phase.CompareAndSwap(warming, measuring)
	time.Sleep(o.length)
	elapsed, cpu := time.Since(start), cpuMicros(o.pids)-before
	r.phase.Store(stopped)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.problem != nil {
		return nil, r.problem
	}
	return summary(o, r, elapsed, cpu)
}

func summary(o *options, r *recorder, elapsed time.Duration, cpu float64) (*result, error) {
	requests := float64(len(r.samples))
	if o.mode == "tcp" {
		requests = float64(r.bytes.Load()) / (1 << 20)
	}
	if requests == 0 {
		return nil, fmt.Errorf("not one call was finished in %v", elapsed)
	}
	slices.Sort(r.samples)
	at := func(share float64) float64 {
		if len(r.samples) == 0 {
			return 0
		}
		return float64(r.samples[int(share*float64(len(r.samples)-1))]) / 1000
	}
	return &result{Requests: requests, Seconds: elapsed.Seconds(), P50: at(0.5), P99: at(0.99), CPUMicros: cpu / requests}, nil
}

// cpuMicros sums user and system time of the processes, all threads (proc(5), fields 14 and 15, in ticks of 10 ms).
func cpuMicros(pids []int) float64 {
	total := 0.0
	for _, pid := range pids {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			fail(fmt.Errorf("a proxy process is gone: %w", err))
		}
		// The name in field 2 may hold spaces; what follows its bracket begins with field 3.
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		for _, field := range fields[11:13] {
			ticks, _ := strconv.ParseFloat(string(field), 64)
			total += ticks * 10_000
		}
	}
	return total
}

// seen is what `once` prints.
type seen struct {
	Status int    `json:"status"`
	GRPC   string `json:"grpc"`
	Size   int    `json:"size"`
	Error  string `json:"error"`
}

// once makes one call within five seconds. For bulk, the status is 200 when the first MiB came.
func once(o *options) *seen {
	conn, err := o.dial()
	if err != nil {
		return &seen{Error: err.Error()}
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	var got answer
	switch o.mode {
	case "h2", "grpc":
		got, err = onceH2(o, conn)
	case "tcp":
		got, err = onceTCP(conn)
	default:
		got, err = newH1Caller(o, conn).call()
	}
	if err != nil {
		return &seen{Error: err.Error()}
	}
	return &seen{Status: got.status, GRPC: got.grpc, Size: got.size}
}
