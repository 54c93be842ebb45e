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
