// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"isolation.only_stub_pages", onlyStubPages},
		{"isolation.only_stub_pages_after_use", onlyStubPagesAfterUse},
		{"isolation.embedder_pages", embedderPagesAreNotThere},
		{"isolation.no_secret", stubPagesHoldNoSecret},
		{"isolation.environment", environmentIsGone},
		{"isolation.no_writable_code", noWritableCode},
		{"isolation.filtered", stubIsFiltered},
		{"isolation.descriptors", descriptorsAreNotHeld},
		{"isolation.descriptors_later", descriptorsOpenedLaterAreNotHeld},
	})
}

const secret = "correct horse battery staple"

// isTheLibrarys is above user space, or in a range that is taken out of it.
func isTheLibrarys(info *trapgate.Info, m *mapping) bool {
	if m.start >= info.User.End {
		return true
	}
	for _, r := range info.Reserved {
		if r.Start <= m.start && m.end <= r.End {
			return true
		}
	}
	return false
}

// isKernelPage is one that the kernel shows to every process.
func isKernelPage(m *mapping) bool { return m.name == "[vsyscall]" || m.name == "[vectors]" }

func wantOnlyStubPages(p *trapgate.Platform, s *trapgate.Subprocess) {
	info := must(p.Info())
	list := mappings(s.PID())
	check(len(list) > 0, "a stub has pages")
	for _, m := range list {
		if !isKernelPage(&m) && !isTheLibrarys(&info, &m) {
			fail(1, "mapping %#x-%#x %s is in a fresh subprocess", m.start, m.end, m.name)
		}
	}
}

func onlyStubPages(b trapgate.Backend) {
	platform := openPlatform(b, 0)
	first, second := createSubprocess(platform), createSubprocess(platform)
	wantOnlyStubPages(platform, first)
	wantOnlyStubPages(platform, second)
	wantOnlyStubPages(platform, forkOf(first))
	platform.Close()
}

func onlyStubPagesAfterUse(b trapgate.Backend) {
	g := open(b, "call_loop")
	g.call()
	check(g.info().User.Start < codeAt, "the code is in user space")
	ok(g.subprocess.Unmap(codeAt, holeAt-codeAt))
	wantOnlyStubPages(g.platform, g.subprocess)
	g.close()
}

// Goes through all of the embedder's mappings and looks for each in the guest.
func embedderPagesAreNotThere(b trapgate.Backend) {
	g := open(b, "read_calls")
	info := g.info()
	for _, m := range mappings(os.Getpid()) {
		if isKernelPage(&m) || isTheLibrarys(&info, &m) {
			continue
		}
		at("embedder's mapping at %#x %s", m.start, m.name)
		g.touch(m.start)
		wantFault(&g.event, m.start, trapgate.AccessRead, syscall.SIGSEGV, segvMapErr)
	}
	g.close()
}

// The pages that the stub keeps hold nothing of the embedder's either.
func stubPagesHoldNoSecret(b trapgate.Backend) {
	ok(os.Setenv("CONFORMANCE_SECRET", secret)) // in C's environment, too
	platform := openPlatform(b, 0)
	pid := createSubprocess(platform).PID()
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		skip("this host does not let a process read the memory of its child: %v", err)
	}
	looked := 0
	page := make([]byte, 4096)
	for _, m := range mappings(pid) {
		for addr := m.start; addr < m.end && !isKernelPage(&m); addr += uint64(len(page)) {
			if count, _ := memory.ReadAt(page, int64(addr)); count == len(page) {
				looked++
				check(!bytes.Contains(page, []byte(secret)), "the secret is not there")
			}
		}
	}
	check(looked > 0, "some page could be read")
	memory.Close()
	platform.Close()
}

func environmentIsGone(b trapgate.Backend) {
	ok(os.Setenv("CONFORMANCE_SECRET", secret))
	g := open(b, "call_loop")
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", g.subprocess.PID()))
	check(err != nil || len(text) == 0, "the environment cannot be read")
	g.close()
}

// No page of a stub is writable and executable at once.
func noWritableCode(b trapgate.Backend) {
	platform := openPlatform(b, 0)
	list := mappings(createSubprocess(platform).PID())
	check(len(list) > 0, "a stub has pages")
	for _, m := range list {
		check(!strings.Contains(m.rights, "wx"), "no page is writable and executable")
	}
	platform.Close()
}

// What remains if a guest ever got to run a call for real: a filter that cannot be taken off.
func stubIsFiltered(b trapgate.Backend) {
	g := open(b, "call_loop")
	g.call()
	equal(statusField(g.subprocess.PID(), "NoNewPrivs"), 1)
	equal(statusField(g.subprocess.PID(), "Seccomp"), 2)
	g.close()
}

func socketPair() [2]int {
	return must(syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0))
}

// wantEnd closes one end and wants the other to see it.
func wantEnd(ends [2]int) {
	ok(syscall.Close(ends[1]))
	equal(must(syscall.Read(ends[0], make([]byte, 1))), 0)
	ok(syscall.Close(ends[0]))
}

// The stub cannot keep a pipe, socket or lock of the embedder open that the embedder closes.
func descriptorsAreNotHeld(b trapgate.Backend) {
	ends := socketPair()
	g := open(b, "call_loop")
	g.call()
	wantEnd(ends)
	g.close()
}

func descriptorsOpenedLaterAreNotHeld(b trapgate.Backend) {
	g := open(b, "call_loop")
	ends := socketPair()
	copied := forkOf(g.subprocess)
	g.call()
	wantEnd(ends)
	copied.Close()
	g.close()
}
