// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"errors"
	"math"
	"runtime"
	"syscall"
	"time"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"argument.versions", versionsAndTexts},
		{"argument.null_handles", nilHandles},
		{"argument.null_results", nilArguments},
		{"argument.options", platformOptions},
		{"argument.auto", automaticBackend},
		{"argument.probe", probes},
		{"argument.info", information},
		{"argument.operations", operationStructs},
		{"argument.context", contextArguments},
		{"argument.mixed_handles", handlesDoNotMix},
		{"argument.queue", queueArguments},
		{"argument.sentence", failuresHaveASentence},
	})
}

func versionsAndTexts(trapgate.Backend) {
	equal(trapgate.ABIVersion(), 1)
	check(len(trapgate.Version()) >= 5, "there is a version")
	check(trapgate.Strerror(0) != "", "0 has a text")
	check(trapgate.Strerror(987654) != "", "an unknown number has a text")
	check(trapgate.Strerror(syscall.ESRCH) != trapgate.Strerror(syscall.EFAULT), "texts differ")
}

// wantClosed wants the error of a handle that is closed or nil.
func wantClosed(err error) {
	if !errors.Is(err, trapgate.ErrClosed) || !errors.Is(err, syscall.EINVAL) {
		fail(1, "is %v, not closed", err)
	}
}

// everyCall calls everything on handles that are closed, or nil.
func everyCall(p *trapgate.Platform, s *trapgate.Subprocess, c *trapgate.Context, q *trapgate.Queue, r *trapgate.Runner) {
	_, err := p.Info()
	wantClosed(err)
	_, err = p.Stats()
	wantClosed(err)
	wantClosed(p.AddSeccompRules(nil))
	equal(p.LastError(), "")
	_, err = p.NewSubprocess()
	wantClosed(err)
	_, err = p.NewContext()
	wantClosed(err)
	_, err = p.NewQueue()
	wantClosed(err)
	_, err = p.NewRunner()
	wantClosed(err)
	ok(p.Close())

	_, err = s.Fork()
	wantClosed(err)
	_, err = s.Apply([]trapgate.MemOp{trapgate.UnmapOp(holeAt, 1)})
	wantClosed(err)
	wantClosed(s.Map(holeAt, 4096, protRW, 0))
	wantClosed(s.MapFile(holeAt, 4096, protRW, 0, 0, 0))
	wantClosed(s.Unmap(holeAt, 4096))
	wantClosed(s.Protect(holeAt, 4096, protRW))
	_, err = s.ReadMemory(holeAt, make([]byte, 8))
	wantClosed(err)
	_, err = s.WriteMemory(holeAt, make([]byte, 8))
	wantClosed(err)
	equal(s.PID(), 0)
	ok(s.Close())

	wantClosed(c.Start(0, 0))
	wantClosed(c.CopyFrom(c))
	wantClosed(c.SetFlags(0))
	wantClosed(c.SetUserData(0))
	_, err = c.UserData()
	wantClosed(err)
	_, err = c.Registers()
	wantClosed(err)
	wantClosed(c.SetRegisters(&trapgate.Registers{}))
	wantClosed(c.FPState(make([]byte, 8)))
	wantClosed(c.SetFPState(make([]byte, 8)))
	_, err = c.TLS()
	wantClosed(err)
	wantClosed(c.SetTLS(0))
	wantClosed(c.SetReturn(0))
	wantClosed(c.RestartSyscall())
	_, err = c.Switch(background, s)
	wantClosed(err)
	wantClosed(c.Interrupt())
	ok(c.Close())

	wantClosed(q.Submit(c, s))
	_, err = q.Wait(background, make([]trapgate.Event, 1), 0)
	wantClosed(err)
	wantClosed(q.Wake())
	_, err = q.Descriptor()
	wantClosed(err)
	ok(q.Close())

	_, err = r.Switch(background, c, s)
	wantClosed(err)
	_, err = r.Run(background, c, s, nil)
	wantClosed(err)
	ok(r.Close())
}

func nilHandles(b trapgate.Backend) {
	everyCall(nil, nil, nil, nil, nil)
	g, q := openQueue(b, "call_loop")
	runner := must(g.platform.NewRunner())
	g.platform.Close()
	everyCall(g.platform, g.subprocess, g.context, q, runner)
}

// What Go lets us leave out: handles as arguments, a filter, buffers.
func nilArguments(b trapgate.Backend) {
	g := open(b, "counting_calls")
	refused(g.platform.AddSeccompRules(nil), syscall.EINVAL)
	done, err := g.subprocess.Apply(nil)
	partial(done, err, 0, 0)
	refused(g.context.CopyFrom(nil), syscall.EINVAL)
	refused(g.context.FPState(nil), syscall.EINVAL)
	refused(g.context.SetFPState(nil), syscall.EINVAL)
	_, err = g.context.Switch(background, nil)
	refused(err, syscall.EINVAL)
	check(sentence(err) != "", "there is a sentence")
	g.call()
	equal(g.event.Syscall.Args[0], 1)
	g.close()
}

func platformOptions(b trapgate.Backend) {
	for _, options := range []trapgate.Options{
		{Backend: 77}, {Backend: b, Flags: 1 << 40}, {Backend: b, Spin: -time.Second},
	} {
		platform, err := trapgate.Open(options)
		refused(err, syscall.EINVAL)
		check(platform == nil, "there is no platform")
		var failure *trapgate.Error
		check(errors.As(err, &failure) && len(failure.Message) > 10 && failure.Op == "open", "there is a sentence")
	}
}

func automaticBackend(trapgate.Backend) {
	platform := must(trapgate.Open(trapgate.Options{}))
	found := must(trapgate.Probe(trapgate.BackendAuto))
	check(found.Available, "some backend works")
	equal(must(platform.Info()).Backend, found.Backend)
	check(found.Backend != trapgate.BackendAuto, "it has a name")
	equal(platform.LastError(), "")
	platform.Close()
}

func probes(b trapgate.Backend) {
	found := must(trapgate.Probe(b))
	equal(found.Backend, b)
	check(found.Available, "the backend works")
	check(found.Err == nil, "there is no error")
	equal(found.Step, "")
	_, err := trapgate.Probe(99)
	refused(err, syscall.EINVAL)
}

func information(b trapgate.Backend) {
	platform := openPlatform(b, 0)
	info := must(platform.Info())
	equal(info.Backend, b)
	check(info.PageSize >= 4096 && info.PageSize&(info.PageSize-1) == 0, "the page size is one")
	check(info.User.Start < info.User.End, "there is user space")
	equal(info.User.Start%info.PageSize, 0)
	equal(info.User.End%info.PageSize, 0)
	check(info.FPStateSize >= 512, "there is FP state")
	for _, r := range info.Reserved {
		check(r.Start < r.End && info.User.Start <= r.Start && r.End <= info.User.End, "a reserved range is in user space")
	}
	platform.Close()
}

// Operations are made by functions, so that only one kind of them can be wrong: the zero value.
func operationStructs(b trapgate.Backend) {
	g := open(b, "call_loop")
	done, err := g.subprocess.Apply([]trapgate.MemOp{{}})
	partial(done, err, 0, syscall.EINVAL)
	done, err = g.subprocess.Apply([]trapgate.MemOp{trapgate.MapOp(holeAt, g.page, protRW, 0), {}})
	partial(done, err, 0, syscall.EINVAL)
	done, err = g.subprocess.Apply([]trapgate.MemOp{})
	partial(done, err, 0, 0)
	done, err = g.subprocess.Apply([]trapgate.MemOp{
		trapgate.MapOp(holeAt, g.page, protRW, 0), trapgate.MapOp(holeAt+g.page, g.page, protRW, 0)})
	partial(done, err, 2, 0)
	storeWord(g.subprocess, holeAt+g.page, 1)
	g.close()
}

func contextArguments(b trapgate.Backend) {
	g := open(b, "counting_calls")
	refused(g.context.SetFlags(0x80000000), syscall.EINVAL)
	ok(g.context.SetFlags(trapgate.ContextOneThread))
	ok(g.context.SetFlags(0))
	equal(must(g.context.UserData()), 0)
	ok(g.context.SetUserData(math.MaxUint64))
	equal(must(g.context.UserData()), math.MaxUint64)
	ok(g.context.CopyFrom(g.context))
	g.call()
	equal(g.event.UserData, math.MaxUint64)
	g.close()
}

func handlesDoNotMix(b trapgate.Backend) {
	first, q := openQueue(b, "counting_calls")
	second := open(b, "counting_calls")
	runner := must(first.platform.NewRunner())
	_, err := first.context.Switch(background, second.subprocess)
	refused(err, syscall.EINVAL)
	refused(q.Submit(second.context, first.subprocess), syscall.EINVAL)
	refused(q.Submit(first.context, second.subprocess), syscall.EINVAL)
	refused(q.Submit(second.context, second.subprocess), syscall.EINVAL)
	_, err = runner.Switch(background, second.context, second.subprocess)
	refused(err, syscall.EINVAL)
	_, err = runner.Switch(background, first.context, second.subprocess)
	refused(err, syscall.EINVAL)
	refused(first.context.CopyFrom(second.context), syscall.EINVAL)
	first.call()
	equal(first.event.Syscall.Args[0], 1)
	q.Close()
	second.close()
	first.close()
}

func queueArguments(b trapgate.Backend) {
	g, q := openQueue(b, "counting_calls")
	refused(q.Submit(nil, g.subprocess), syscall.EINVAL)
	refused(q.Submit(g.context, nil), syscall.EINVAL)
	_, err := q.Wait(background, nil, 0)
	refused(err, syscall.EINVAL)
	ok(q.Submit(g.context, g.subprocess))
	event := waitOne(q)
	wantCall(&event, guestCall)
	equal(event.Syscall.Args[0], 1)
	q.Close()
	g.close()
}

func failuresHaveASentence(b trapgate.Backend) {
	runtime.LockOSThread() // LastError is the thread's
	g := open(b, "call_loop")
	equal(g.platform.LastError(), "")
	first := g.subprocess.Map(holeAt+1, 1, protRW, 0)
	refused(first, syscall.EINVAL)
	text := g.platform.LastError()
	check(len(text) > 10, "there is a sentence")
	second := g.context.RestartSyscall()
	refused(second, syscall.EINVAL)
	check(g.platform.LastError() != text, "the sentence is another one")
	var failure *trapgate.Error
	check(errors.As(first, &failure) && failure.Message == text, "an error keeps its own sentence")
	g.close()
}
