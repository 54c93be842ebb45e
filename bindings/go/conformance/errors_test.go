// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"strings"
	"syscall"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"error.no_descriptors", noDescriptorIsLeft},
	})
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
