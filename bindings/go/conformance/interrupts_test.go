// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"math/rand"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"interrupt.during", duringTheSwitch},
		{"interrupt.none_lost", noneIsLost},
		{"interrupt.pending_flag", pendingFlagKeepsItsWord},
		{"interrupt.storm", storm},
		{"interrupt.embedder_signals", embedderSignalsDoNotShow},
	})
}

func duringTheSwitch(b trapgate.Backend) {
	g := open(b, "spin_registers")
	for i := 0; i < 20; i++ {
		join := start(g.run)
		if i%2 == 1 {
			time.Sleep(2 * time.Millisecond)
		}
		ok(g.context.Interrupt())
		join()
		wantKind(&g.event, trapgate.KindInterrupted)
		check(ip(g.context)-codeAt < 64, "the guest is where it was")
		// The first two words are the guest's counters.
		now := regs(g.context)
		counters := words(&now, false)
		check(*counters[0]+*counters[1] <= 1, "the counters add up")
	}
	g.close()
}

// interruptUntilTold interrupts in a thread of its own; stop says how often it did.
func interruptUntilTold(c *trapgate.Context) (stop func() uint64) {
	var told atomic.Bool
	var sent atomic.Uint64
	join := start(func() {
		for !told.Load() {
			ok(c.Interrupt())
			sent.Add(1)
			sleepMicroseconds(20)
		}
	})
	return func() uint64 {
		told.Store(true)
		join()
		return sent.Load()
	}
}

// toInterrupt switches until an interrupt was delivered; every call on the way must be the next number.
func (g *guest) toInterrupt(calls *uint64) {
	for {
		g.run()
		if g.event.Kind != trapgate.KindSyscall {
			wantKind(&g.event, trapgate.KindInterrupted)
			return
		}
		*calls++
		equal(g.event.Syscall.Args[0], *calls)
	}
}

// oneLeftOver allows for one interrupt; then the next event is the next call.
func (g *guest) oneLeftOver(calls uint64) {
	g.run()
	if g.event.Kind == trapgate.KindInterrupted {
		g.run()
	}
	wantCall(&g.event, guestCall)
	equal(g.event.Syscall.Args[0], calls+1)
}

// Each interrupt is sent once and must be answered before the next: a lost one hangs the case.
func noneIsLost(b trapgate.Backend) {
	g := open(b, "spin")
	random := rand.New(rand.NewSource(1))
	for i := 0; i < 1000; i++ {
		join := start(g.run)
		sleepMicroseconds(random.Intn(150))
		ok(g.context.Interrupt())
		join()
		wantKind(&g.event, trapgate.KindInterrupted)
		equal(g.event.Flags&trapgate.FlagInterruptPending, 0)
	}
	g.close()
}

// The flag promises an Interrupted event; without the flag and without a new interrupt there is none.
func pendingFlagKeepsItsWord(b trapgate.Backend) {
	g := open(b, "call_loop")
	stop := interruptUntilTold(g.context)
	for i := 0; i < 3000; i++ {
		promised := g.event.Kind != trapgate.KindInterrupted && g.event.Flags&trapgate.FlagInterruptPending != 0
		g.run()
		if promised {
			wantKind(&g.event, trapgate.KindInterrupted)
		}
	}
	stop()
	g.run()
	g.run()
	for i := 0; i < 100; i++ {
		g.call()
		equal(g.event.Flags&trapgate.FlagInterruptPending, 0)
	}
	g.close()
}

func storm(b trapgate.Backend) {
	g := open(b, "counting_calls")
	var stops []func() uint64
	for i := 0; i < 4; i++ {
		stops = append(stops, interruptUntilTold(g.context))
	}
	calls := uint64(0)
	for i := 0; i < 500; i++ {
		g.toInterrupt(&calls)
	}
	for _, stop := range stops {
		stop()
	}
	g.oneLeftOver(calls)
	g.close()
}

// Signals to the embedder's thread are none of the guest's business: one that Go hands to a channel, and the one that
// its runtime sends to threads for its own sake.
func embedderSignalsDoNotShow(b trapgate.Backend) {
	g := open(b, "wait_for_word")
	setArg(g.context, 0, dataAt)
	arrived := make(chan os.Signal, 1)
	signal.Notify(arrived, syscall.SIGUSR1)
	thread := make(chan int, 1)
	join := start(func() {
		thread <- syscall.Gettid()
		g.run()
	})
	tid := <-thread
	time.Sleep(time.Millisecond)
	for i := 0; i < 50; i++ {
		ok(syscall.Tgkill(syscall.Getpid(), tid, syscall.SIGUSR1))
		<-arrived
		ok(syscall.Tgkill(syscall.Getpid(), tid, syscall.SIGURG))
	}
	storeWord(g.subprocess, dataAt, 1)
	join()
	wantCall(&g.event, guestCall)
	g.close()
}
