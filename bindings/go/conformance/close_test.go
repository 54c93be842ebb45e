// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"os"
	"strings"
	"syscall"
	"time"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"close.used", leavesNothing(useAndClose)},
		{"close.everything_alive", leavesNothing(useAndLeaveBehind)},
	})
}

// holdings are what the library could leave behind. Go makes threads and maps memory as it likes, so threads are
// compared over many rounds, and of mappings those that have a name: the library's memory is files in memory.
type holdings struct{ descriptors, files int }

func takeStock() holdings {
	now := holdings{descriptors: openDescriptors()}
	for _, m := range mappings(os.Getpid()) {
		if strings.Contains(m.name, "memfd:") || strings.Contains(m.name, "(deleted)") {
			now.files++
		}
	}
	return now
}

func wantNoChild() {
	pid, err := syscall.Wait4(-1, nil, waitAll|syscall.WNOHANG, nil)
	if pid > 0 || err != syscall.ECHILD {
		fail(1, "there is a child: %d, %v", pid, err)
	}
}

func leavesNothing(use func(trapgate.Backend)) func(trapgate.Backend) {
	const first, rounds = 5, 15
	return func(b trapgate.Backend) {
		for i := 0; i < first; i++ {
			use(b)
		}
		wantNoChild()
		takeStock() // Go opens descriptors of its own when it first reads files
		threads, before := threadCount(os.Getpid()), takeStock()
		for i := 0; i < rounds; i++ {
			use(b)
			wantNoChild()
		}
		equal(takeStock(), before)
		// Each round that left one would show; what Go made for itself in between is less.
		for end := time.Now().Add(5 * time.Second); threadCount(os.Getpid()) >= threads+rounds-3; {
			check(time.Now().Before(end), "no thread is left in each round")
			time.Sleep(time.Millisecond)
		}
	}
}

func useAndClose(b trapgate.Backend) {
	g := open(b, "call_loop")
	g.call()
	copied := forkOf(g.subprocess)
	run(g.context, copied)
	copied.Close()
	g.close()
}

// Everything that was made goes with the platform.
func useAndLeaveBehind(b trapgate.Backend) {
	g, q := openQueue(b, "spin")
	both := []*trapgate.Subprocess{g.subprocess, forkOf(g.subprocess)}
	for i := 0; i < 5; i++ {
		ok(q.Submit(createStarted(g.platform), both[i%2]))
	}
	wantNoEvent(q, time.Millisecond)
	createSubprocess(g.platform)
	runner := must(g.platform.NewRunner())
	other := createLoaded(g.platform, code("spin"))
	join := start(func() {
		_, err := runner.Switch(background, g.context, other)
		refused(err, syscall.EINVAL)
	})
	time.Sleep(time.Millisecond)
	ok(g.platform.Close())
	join()
}
