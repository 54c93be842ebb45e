// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"syscall"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"fork.private", privatePagesPart},
		{"fork.shared", sharedMappingsStayShared},
		{"fork.layout", layoutIsCopied},
		{"fork.context", contextGoesOnInTheCopy},
		{"fork.generations", generations},
		{"fork.running", whileContextsRun},
		{"fork.dead", ofADeadOne},
		{"fork.parent_dies", parentDies},
	})
}

func forkOf(s *trapgate.Subprocess) *trapgate.Subprocess { return must(s.Fork()) }

// in is the same guest in another subprocess.
func (g *guest) in(s *trapgate.Subprocess) *guest {
	other := *g
	other.subprocess = s
	return &other
}

func kill(s *trapgate.Subprocess) {
	pid := s.PID()
	check(pid > 0, "the stub lives")
	ok(syscall.Kill(pid, syscall.SIGKILL))
}

func privatePagesPart(b trapgate.Backend) {
	g := open(b, "write_calls")
	g.writes(dataAt, 1)
	other := forkOf(g.subprocess)
	check(other.PID() != g.subprocess.PID(), "the copy is a process of its own")
	equal(loadWord(other, dataAt), 1)
	g.writes(dataAt, 2)
	equal(loadWord(other, dataAt), 1)
	g.in(other).writes(dataAt, 3)
	equal(loadWord(g.subprocess, dataAt), 2)
	equal(loadWord(other, dataAt), 3)
	storeWord(other, dataAt+8, 4)
	equal(loadWord(g.subprocess, dataAt+8), 0)
	other.Close()
	g.close()
}

func sharedMappingsStayShared(b trapgate.Backend) {
	g := open(b, "write_calls")
	file := memoryFile(g.page)
	ok(g.subprocess.MapFile(holeAt, g.page, protRW, trapgate.MapShared, file, 0))
	ok(g.subprocess.Map(holeAt+g.page, g.page, protRW, trapgate.MapShared))
	other := forkOf(g.subprocess)
	g.writes(holeAt, 1)
	equal(loadWord(other, holeAt), 1)
	g.in(other).writes(holeAt, 2)
	equal(loadWord(g.subprocess, holeAt), 2)
	g.in(other).writes(holeAt+g.page, 3)
	equal(loadWord(g.subprocess, holeAt+g.page), 3)
	other.Close()
	syscall.Close(file)
	g.close()
}

func layoutIsCopied(b trapgate.Backend) {
	g := open(b, "write_calls")
	mapPages(g.subprocess, holeAt, g.page, trapgate.ProtRead)
	other := forkOf(g.subprocess)
	ok(g.subprocess.Unmap(holeAt, g.page))
	setArg(g.context, 0, holeAt)
	event := run(g.context, other)
	wantFault(&event, holeAt, trapgate.AccessWrite, syscall.SIGSEGV, segvAccErr)
	mapPages(other, holeAt+g.page, g.page, protRW)
	setArg(g.context, 0, holeAt+g.page)
	g.run()
	wantFault(&g.event, holeAt+g.page, trapgate.AccessWrite, syscall.SIGSEGV, segvMapErr)
	other.Close()
	g.close()
}

func contextGoesOnInTheCopy(b trapgate.Backend) {
	g := open(b, "counting_calls")
	g.call()
	other := forkOf(g.subprocess)
	child := createContext(g.platform)
	ok(child.CopyFrom(g.context))
	ok(child.SetReturn(0))
	event := run(child, other)
	wantCall(&event, guestCall)
	equal(event.Syscall.Args[0], 2)
	g.call()
	equal(g.event.Syscall.Args[0], 2)
	child.Close()
	other.Close()
	g.close()
}

func generations(b trapgate.Backend) {
	const depth = 12
	g := open(b, "write_calls")
	line := []*trapgate.Subprocess{g.subprocess}
	for i := uint64(1); i < depth; i++ {
		storeWord(line[i-1], dataAt+8*i, i)
		line = append(line, forkOf(line[i-1]))
	}
	// The ancestors go first: nobody depends on them.
	for _, s := range line[:depth-1] {
		s.Close()
	}
	last := line[depth-1]
	for i := uint64(1); i < depth; i++ {
		equal(loadWord(last, dataAt+8*i), i)
	}
	g.in(last).writes(dataAt, 1)
	last.Close()
	g.close()
}

func whileContextsRun(b trapgate.Backend) {
	g := open(b, "spin_counting")
	load(g.subprocess, otherCode, code("counting_calls"))
	setArg(g.context, 0, dataAt)
	join := start(g.run)
	waitChange(g.subprocess, dataAt, 0)
	for i := 0; i < 5; i++ {
		copied := forkOf(g.subprocess)
		seen := loadWord(copied, dataAt)
		check(seen != 0, "the copy has what was counted")
		waitChange(g.subprocess, dataAt, seen)
		// Nobody runs in the copy, so its word stands still.
		equal(loadWord(copied, dataAt), seen)
		other := createAt(g.platform, otherCode)
		event := run(other, copied)
		wantCall(&event, guestCall)
		other.Close()
		copied.Close()
	}
	ok(g.context.Interrupt())
	join()
	wantKind(&g.event, trapgate.KindInterrupted)
	g.close()
}

func ofADeadOne(b trapgate.Backend) {
	g := open(b, "call_loop")
	kill(g.subprocess)
	g.run()
	wantKind(&g.event, trapgate.KindDead)
	copied, err := g.subprocess.Fork()
	refused(err, syscall.ESRCH)
	check(copied == nil, "there is no copy")
	g.close()
}

// A death does not spread to the family.
func parentDies(b trapgate.Backend) {
	g := open(b, "counting_calls")
	other := forkOf(g.subprocess)
	kill(g.subprocess)
	g.run()
	wantKind(&g.event, trapgate.KindDead)
	event := run(g.context, other)
	wantCall(&event, guestCall)
	storeWord(other, dataAt, 8)
	equal(loadWord(other, dataAt), 8)
	other.Close()
	g.close()
}
