// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"errors"
	"strings"
	"syscall"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"error.sentences", sentencesAreTheCallers},
		{"error.no_descriptors", noDescriptorIsLeft},
	})
}

// Each call fails, and no other's sentence has its words.
func sentencesAreTheCallers(b trapgate.Backend) {
	const rounds = 25000
	g := open(b, "call_loop")
	var joins []func()
	for _, m := range []struct {
		words string
		errno syscall.Errno
		make  func() error
	}{
		{"multiple of the page size", syscall.EINVAL, func() error { return g.subprocess.Map(holeAt+1, g.page, protRW, 0) }},
		{"length is 0", syscall.EINVAL, func() error { return g.subprocess.Protect(holeAt, 0, protRW) }},
		{"no access", syscall.EFAULT, func() error { _, err := g.subprocess.ReadMemory(holeAt, make([]byte, 1)); return err }},
		{"set context flags", syscall.EINVAL, func() error { return g.context.SetFlags(^trapgate.ContextFlags(0)) }},
	} {
		m := m
		joins = append(joins, start(func() {
			for i := 0; i < rounds; i++ {
				var failure *trapgate.Error
				err := m.make()
				refused(err, m.errno)
				if !errors.As(err, &failure) || !strings.Contains(failure.Message, m.words) {
					fail(0, "round %d: '%v' does not say '%s'", i, err, m.words)
				}
			}
		}))
	}
	for _, join := range joins {
		join()
	}
	g.close()
}

// takeDescriptors takes the numbers away that nobody uses yet; what it returns gives them back.
func takeDescriptors() func() {
	var before syscall.Rlimit
	ok(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before))
	next := must(syscall.Dup(2))
	ok(syscall.Close(next))
	ok(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: uint64(next), Max: before.Max}))
	return func() { ok(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before)) }
}

// noneLeft: not every backend needs descriptors for everything.
func noneLeft(made *trapgate.Subprocess, err error) {
	if err == nil {
		made.Close()
		return
	}
	refused(err, syscall.EMFILE)
	check(strings.Contains(sentence(err), "RLIMIT_NOFILE"), "the sentence says what to raise")
}

func noDescriptorIsLeft(b trapgate.Backend) {
	g := open(b, "call_loop")
	q := must(g.platform.NewQueue())
	giveBack := takeDescriptors()
	noneLeft(g.platform.NewSubprocess())
	noneLeft(g.subprocess.Fork())
	_, err := q.Descriptor()
	refused(err, syscall.EMFILE)
	g.call()
	giveBack()
	must(g.platform.NewSubprocess()).Close()
	must(q.Descriptor())
	q.Close()
	g.close()
}
