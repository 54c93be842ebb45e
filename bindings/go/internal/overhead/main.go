// SPDX-License-Identifier: Apache-2.0 OR MIT

// Command overhead measures what Go adds to the library: switches and runners beside the same loops in C, or beside other
// ways to do the same in Go, in turns within one run. It prints a JSON array, which scripts/bench reads; the floor is the
// other way, and ratios are what counts.
package main

// #cgo pkg-config: trapgate
// #include "loops.h"
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"runtime"
	"sort"
	"sync"
	"time"

	"trapgate.dev/go/trapgate"
)

const codeAt = 0x10000

// x86-64: mov $39, %eax; syscall; jmp to the start. The same is in loops.c.
var callLoop = []byte{0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7}

type result struct {
	Name  string  `json:"name"`
	Unit  string  `json:"unit"`
	Value float64 `json:"value"`
	Floor float64 `json:"floor"`
	Ratio float64 `json:"ratio"`
}

var errC = errors.New("the loop in C failed")

// both are the same guests for C and for Go.
type both struct {
	c          *C.struct_loops
	platform   *trapgate.Platform
	subprocess *trapgate.Subprocess
	contexts   []*trapgate.Context
}

func open(backend trapgate.Backend, contexts int) (*both, error) {
	b, err := openGo(backend, contexts)
	if err != nil {
		return nil, err
	}
	if b.c = C.loops_open(C.uint32_t(backend), C.uint32_t(contexts)); b.c == nil {
		return nil, errC
	}
	return b, nil
}

func openGo(backend trapgate.Backend, contexts int) (*both, error) {
	var err error
	b := &both{}
	if b.platform, err = trapgate.Open(trapgate.Options{Backend: backend}); err != nil {
		return nil, err
	}
	if b.subprocess, err = b.platform.NewSubprocess(); err != nil {
		return nil, err
	}
	prot := trapgate.ProtRead | trapgate.ProtExec
	if err = b.subprocess.Map(codeAt, 4096, prot|trapgate.ProtWrite, 0); err != nil {
		return nil, err
	}
	if _, err = b.subprocess.WriteMemory(codeAt, callLoop); err != nil {
		return nil, err
	}
	if err = b.subprocess.Protect(codeAt, 4096, prot); err != nil {
		return nil, err
	}
	for len(b.contexts) < contexts {
		c, err := b.platform.NewContext()
		if err != nil {
			return nil, err
		}
		if err = c.Start(codeAt, 0); err != nil {
			return nil, err
		}
		b.contexts = append(b.contexts, c)
	}
	return b, nil
}

func (b *both) close() {
	b.platform.Close()
	if b.c != nil {
		C.loops_close(b.c)
	}
}

func (b *both) switchC(count int) (float64, error) {
	ns := float64(C.loops_switch(b.c, C.uint64_t(count)))
	if ns < 0 {
		return 0, fmt.Errorf("%w: %s", errC, C.GoString(C.loops_error(b.c)))
	}
	return ns / float64(count), nil
}

func (b *both) switchGo(count int) (float64, error) {
	ctx, cancel := context.WithCancel(context.Background()) // the usual kind: one that can end
	defer cancel()
	start := time.Now()
	for i := 0; i < count; i++ {
		event, err := b.contexts[0].Switch(ctx, b.subprocess)
		if err != nil {
			return 0, err
		}
		if event.Kind != trapgate.KindSyscall {
			return 0, fmt.Errorf("event is %v", &event)
		}
	}
	return float64(time.Since(start)) / float64(count), nil
}

func (b *both) threadsC(count int) (float64, error) {
	ns := float64(C.loops_threads(b.c, C.uint64_t(count)))
	if ns < 0 {
		return 0, fmt.Errorf("%w: %s", errC, C.GoString(C.loops_error(b.c)))
	}
	return float64(count) / ns * 1e9, nil
}

// switcher switches one context; what it has for that is of one goroutine.
type switcher func(c *trapgate.Context) (trapgate.Event, error)

// goroutines has one for each context, which switches it and sets the results of its calls.
func (b *both) goroutines(count int, each func() switcher) (float64, error) {
	calls := count / len(b.contexts)
	failures := make(chan error, len(b.contexts))
	var all sync.WaitGroup
	start := time.Now()
	for _, c := range b.contexts {
		all.Add(1)
		go func(c *trapgate.Context, turn switcher) {
			defer all.Done()
			for i := 0; i < calls; i++ {
				event, err := turn(c)
				if err == nil && event.Kind != trapgate.KindSyscall {
					err = fmt.Errorf("event is %v", &event)
				}
				if err == nil {
					err = c.SetReturn(0)
				}
				if err != nil {
					failures <- err
					return
				}
			}
		}(c, each())
	}
	all.Wait()
	ns := float64(time.Since(start))
	select {
	case err := <-failures:
		return 0, err
	default:
	}
	return float64(calls*len(b.contexts)) / ns * 1e9, nil
}

func (b *both) switchesGo(count int) (float64, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	return b.goroutines(count, func() switcher {
		return func(c *trapgate.Context) (trapgate.Event, error) { return c.Switch(ctx, b.subprocess) }
	})
}

func (b *both) runnerSwitchesGo(count int) (float64, error) {
	runner, err := b.platform.NewRunner()
	if err != nil {
		return 0, err
	}
	defer runner.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	return b.goroutines(count, func() switcher {
		return func(c *trapgate.Context) (trapgate.Event, error) { return runner.Switch(ctx, c, b.subprocess) }
	})
}

// queueGo: every goroutine submits its context, and one waits for them all.
func (b *both) queueGo(count int) (float64, error) {
	queue, err := b.platform.NewQueue()
	if err != nil {
		return 0, err
	}
	inboxes := make(map[*trapgate.Context]chan trapgate.Event)
	for _, c := range b.contexts {
		inboxes[c] = make(chan trapgate.Event, 1)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		events := make([]trapgate.Event, 64)
		for {
			found, err := queue.Wait(context.Background(), events, -1)
			if err != nil {
				return
			}
			for _, event := range events[:found] {
				inboxes[event.Context] <- event
			}
		}
	}()
	rate, err := b.goroutines(count, func() switcher {
		return func(c *trapgate.Context) (trapgate.Event, error) {
			if err := queue.Submit(c, b.subprocess); err != nil {
				return trapgate.Event{}, err
			}
			return <-inboxes[c], nil
		}
	})
	queue.Close()
	<-ended
	return rate, err
}

func (b *both) queueC(count int) (float64, error) {
	ns := float64(C.loops_queue(b.c, C.uint64_t(count)))
	if ns < 0 {
		return 0, fmt.Errorf("%w: %s", errC, C.GoString(C.loops_error(b.c)))
	}
	return float64(count) / ns * 1e9, nil
}

// handlerGo has a goroutine for each context, and a handler that answers most of the calls.
func (b *both) handlerGo(count int) (float64, error) {
	runner, err := b.platform.NewRunner()
	if err != nil {
		return 0, err
	}
	defer runner.Close()
	each := count / len(b.contexts)
	failures := make(chan error, len(b.contexts))
	var all sync.WaitGroup
	start := time.Now()
	for _, c := range b.contexts {
		all.Add(1)
		go func(c *trapgate.Context) {
			defer all.Done()
			left := each
			_, err := runner.Run(context.Background(), c, b.subprocess, func(event *trapgate.Event) trapgate.Next {
				left--
				if left == 0 {
					return trapgate.Stop(nil)
				}
				if event.Kind != trapgate.KindSyscall {
					return trapgate.Stop(fmt.Errorf("event is %v", event))
				}
				return trapgate.Return(0)
			})
			if err != nil {
				failures <- err
			}
		}(c)
	}
	all.Wait()
	ns := float64(time.Since(start))
	select {
	case err := <-failures:
		return 0, err
	default:
	}
	return float64(each*len(b.contexts)) / ns * 1e9, nil
}

// quantile is what so large a part of the values is below.
func quantile(values []float64, part float64) float64 {
	sort.Float64s(values)
	return values[int(part*float64(len(values)-1)+0.5)]
}

// kind is how loops are looked at. What disturbs a loop makes it slower, never faster. So the better quarter is what says
// most, for both alike.
type kind struct {
	part  float64 // the quartile that counts
	turns float64 // how many there shall be at least: few where beginning and ending with many contexts take a while
}

var (
	ofTimes = kind{part: 0.25, turns: 16}
	ofRates = kind{part: 0.75, turns: 3}
)

// Calls in one turn, whatever that means for their number.
const (
	leastAtOnce = 2000
	mostAtOnce  = 100000
)

type loop func(count int) (float64, error)

type plan struct {
	backend trapgate.Backend
	time    time.Duration // how long both loops run together
}

// turn lets each loop make so many calls.
func turn(count int, c, g loop) (inC, inGo float64, err error) {
	if inC, err = c(count); err == nil {
		inGo, err = g(count)
	}
	return inC, inGo, err
}

// measure runs two loops in turns and gives what each took, or how fast it was. The first turns only warm them up, and
// say how many calls the others have time for.
func (p plan) measure(k kind, c, g loop) (inC, inGo float64, err error) {
	var cs, gs []float64
	count := leastAtOnce
	for warm := 0; warm < 2; warm++ {
		begun := time.Now()
		if _, _, err = turn(count, c, g); err != nil {
			return 0, 0, err
		}
		possible := float64(count) * float64(p.time) / float64(time.Since(begun)) / k.turns
		count = int(math.Max(leastAtOnce, math.Min(possible, mostAtOnce)))
	}
	for begun := time.Now(); len(cs) == 0 || time.Since(begun) < p.time; {
		if inC, inGo, err = turn(count, c, g); err != nil {
			return 0, 0, err
		}
		cs, gs = append(cs, inC), append(gs, inGo)
	}
	return quantile(cs, k.part), quantile(gs, k.part), nil
}

func (p plan) switchOverhead(name string, contexts int) (result, error) {
	b, err := open(p.backend, contexts)
	if err != nil {
		return result{}, err
	}
	defer b.close()
	inC, inGo, err := p.measure(ofTimes, b.switchC, b.switchGo)
	return result{name, "ns", inGo - inC, inC, (inGo - inC) / inC}, err
}

func (p plan) switches(name string, contexts int) (result, error) {
	b, err := open(p.backend, contexts)
	if err != nil {
		return result{}, err
	}
	defer b.close()
	inC, inGo, err := p.measure(ofRates, b.threadsC, b.switchesGo)
	return result{name, "calls/s", inGo, inC, inGo / inC}, err
}

// runner is measured beside each of the other ways, and compared with the better one.
func (p plan) runner(name string, contexts int) (result, error) {
	best := result{Name: name, Unit: "calls/s"}
	p.time /= 2
	for _, other := range []func(*both, int) (float64, error){(*both).switchesGo, (*both).queueGo} {
		b, err := openGo(p.backend, contexts)
		if err != nil {
			return best, err
		}
		floor, value, err := p.measure(ofRates, func(count int) (float64, error) { return other(b, count) }, b.runnerSwitchesGo)
		b.close()
		if err != nil {
			return best, err
		}
		if floor > best.Floor {
			best.Value, best.Floor, best.Ratio = value, floor, value/floor
		}
	}
	return best, nil
}

func (p plan) handler(name string, contexts int) (result, error) {
	b, err := open(p.backend, contexts)
	if err != nil {
		return result{}, err
	}
	defer b.close()
	inC, inGo, err := p.measure(ofRates, b.queueC, b.handlerGo)
	return result{name, "calls/s", inGo, inC, inGo / inC}, err
}

// run measures everything, or what has that name.
func (p plan) run(only string) ([]result, error) {
	var results []result
	for _, line := range []struct {
		name     string
		contexts int
		measure  func(name string, contexts int) (result, error)
	}{
		{"go.switch_overhead", 1, p.switchOverhead},
		{"go.switch.1", 1, p.switches},
		{"go.switch.4", 4, p.switches},
		{"go.switch.16", 16, p.switches},
		{"go.switch.64", 64, p.switches},
		{"go.runner.1", 1, p.runner},
		{"go.runner.4", 4, p.runner},
		{"go.runner.16", 16, p.runner},
		{"go.runner.64", 64, p.runner},
		{"go.runner.1000", 1000, p.runner},
		{"go.handler.1", 1, p.handler},
		{"go.handler.16", 16, p.handler},
		{"go.handler.256", 256, p.handler},
	} {
		if only != "" && only != line.name {
			continue
		}
		measured, err := line.measure(line.name, line.contexts)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", line.name, err)
		}
		results = append(results, measured)
	}
	if len(results) == 0 {
		return nil, fmt.Errorf("nothing here is called %q", only)
	}
	return results, nil
}

func main() {
	seconds := flag.Float64("seconds", 1, "how long each of two loops runs, the one in C and the one in Go")
	name := flag.String("name", "", "measure only what has this name")
	backend := flag.String("backend", "auto", "auto, ptrace or systrap")
	flag.Parse()
	backends := map[string]trapgate.Backend{
		"auto": trapgate.BackendAuto, "ptrace": trapgate.BackendPtrace, "systrap": trapgate.BackendSystrap,
	}
	chosen, known := backends[*backend]
	if !known || flag.NArg() != 0 {
		flag.Usage()
		os.Exit(2)
	}
	runtime.LockOSThread() // as a loop of switches should
	results, err := plan{chosen, time.Duration(2 * *seconds * float64(time.Second))}.run(*name)
	if err == nil {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(results)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "overhead:", err)
		os.Exit(1)
	}
}
