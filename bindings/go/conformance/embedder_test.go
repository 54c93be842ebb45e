// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"io"
	"math/rand"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"embedder.killed", killedLeavesNoOrphan},
		{"embedder.killed_any_moment", killedAtAnyMoment},
		{"embedder.exits", exitLeavesNoOrphan},
		{"embedder.own_children", ownChildrenAreNotStolen},
		{"embedder.wait_any", stubsAreNotWaitedFor},
		{"embedder.wait_any_death", stolenDeathsAreFound},
		{"embedder.sigchld", childSignalsMeanChildren},
		{"embedder.sigchld_stops", childSignalsOfStops},
		{"embedder.sigchld_ignored", childSignalsIgnored},
		{"embedder.signals_left_alone", signalsAreLeftAlone},
		{"embedder.signals_blocked", allSignalsBlocked},
		{"embedder.affinity_left_alone", affinityIsLeftAlone},
		{"embedder.forks", embedderForks},
	})
	roles["embedder"] = beAnEmbedder
	roles["hurry"] = liveInAHurry
	roles["exit"] = exitWithoutClosing
}

// beside starts this program again in a role. What it leaves behind comes to us.
func beside(b trapgate.Backend, role string) (*exec.Cmd, io.Reader) {
	_, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setChildSubreaper, 1, 0)
	equal(errno, 0)
	command := exec.Command("/proc/self/exe")
	command.Env = append(os.Environ(), caseVariable+"=", roleVariable+"="+b.String()+"/"+role)
	output := must(command.StdoutPipe())
	ok(command.Start())
	return command, output
}

// waitForOrphans: they have to end by themselves; a stub that lives on makes this run into the time limit.
func waitForOrphans() {
	for {
		if _, err := syscall.Wait4(-1, nil, waitAll, nil); err == syscall.ECHILD {
			return
		}
	}
}

// An embedder with an idle, a used and a running subprocess; says so and waits to be killed.
func beAnEmbedder(b trapgate.Backend) {
	g, _ := spinning(b)
	used := g.with(createStarted(g.platform))
	used.subprocess = createLoaded(g.platform, code("call_loop"))
	used.call()
	createSubprocess(g.platform)
	os.Stdout.Write([]byte{byte(g.subprocess.PID()), byte(g.subprocess.PID() >> 8), byte(g.subprocess.PID() >> 16),
		byte(used.subprocess.PID()), byte(used.subprocess.PID() >> 8), byte(used.subprocess.PID() >> 16)})
	for {
		time.Sleep(time.Hour)
	}
}

func killedLeavesNoOrphan(b trapgate.Backend) {
	command, output := beside(b, "embedder")
	said := make([]byte, 6)
	must(io.ReadFull(output, said))
	pids := []int{int(said[0]) | int(said[1])<<8 | int(said[2])<<16, int(said[3]) | int(said[4])<<8 | int(said[5])<<16}
	for _, pid := range pids {
		check(processAlive(pid), "the stub lives")
	}
	ok(command.Process.Kill())
	for _, pid := range pids {
		waitGone(pid)
	}
	waitForOrphans()
}

func liveInAHurry(b trapgate.Backend) {
	os.Stdout.Write([]byte{'x'})
	for {
		g := open(b, "call_loop")
		g.call()
		run(g.context, forkOf(g.subprocess))
		g.close()
	}
}

func killedAtAnyMoment(b trapgate.Backend) {
	random := rand.New(rand.NewSource(3))
	for round := 0; round < 60; round++ {
		command, output := beside(b, "hurry")
		must(io.ReadFull(output, make([]byte, 1)))
		sleepMicroseconds(random.Intn(8000))
		ok(command.Process.Kill())
		waitForOrphans()
	}
}

func exitWithoutClosing(b trapgate.Backend) {
	g := open(b, "call_loop")
	g.call()
	os.Exit(5)
}

func exitLeavesNoOrphan(b trapgate.Backend) {
	command, _ := beside(b, "exit")
	command.Wait()
	equal(command.ProcessState.ExitCode(), 5)
	waitForOrphans()
}

// startChild starts a process that ends with a status.
func startChild(status int) *exec.Cmd {
	command := exec.Command("/bin/sh", "-c", "exit "+strconv.Itoa(status))
	ok(command.Start())
	return command
}

func wantStatus(command *exec.Cmd, status int) {
	command.Wait()
	if command.ProcessState == nil || command.ProcessState.ExitCode() != status {
		fail(1, "the child's state is %v, not %d", command.ProcessState, status)
	}
}

// Own children are reaped by the embedder with their own status, while stubs come, run and go.
func ownChildrenAreNotStolen(b trapgate.Backend) {
	g := open(b, "call_loop")
	join := start(func() {
		for i := 0; i < 300; i++ {
			g.call()
		}
	})
	for i := 0; i < 30; i++ {
		s := createSubprocess(g.platform)
		child := startChild(i)
		if i%2 == 1 {
			s.Close()
		}
		wantStatus(child, i)
	}
	join()
	g.close()
}

// With no switch in progress, a wait for any child sees the embedder's children and no living stub.
func stubsAreNotWaitedFor(b trapgate.Backend) {
	g := open(b, "call_loop")
	createSubprocess(g.platform)
	g.call()
	pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG|syscall.WUNTRACED|syscall.WCONTINUED, nil)
	check(pid == 0 && err == nil || err == syscall.ECHILD, "nobody is waited for")
	child := startChild(7)
	var status syscall.WaitStatus
	equal(must(syscall.Wait4(-1, &status, 0, nil)), child.Process.Pid)
	check(status.Exited() && status.ExitStatus() == 7, "the child ended as it did")
	g.call()
	g.close()
}

// ptrace(2) makes the death of a tracee visible to any wait of its tracer's process. An embedder that takes it that way
// keeps no event from anybody.
func stolenDeathsAreFound(b trapgate.Backend) {
	g := open(b, "call_loop")
	g.call()
	victim := g.subprocess.PID()
	ok(syscall.Kill(victim, syscall.SIGKILL))
	waitGone(victim)
	for pid := 1; pid > 0; {
		pid, _ = syscall.Wait4(-1, nil, waitAll|syscall.WNOHANG, nil)
	}
	g.run()
	wantKind(&g.event, trapgate.KindDead)
	g.close()
}

// countChildSignals counts until it is asked.
func countChildSignals() (soFar func() int) {
	signals := make(chan os.Signal, 10000)
	signal.Notify(signals, syscall.SIGCHLD)
	return func() int {
		time.Sleep(5 * time.Millisecond) // for the goroutine that passes them on
		return len(signals)
	}
}

// Stubs have no exit signal, and with IgnoreChildStops no stop raises SIGCHLD.
func childSignalsMeanChildren(b trapgate.Backend) {
	soFar := countChildSignals()
	ok(trapgate.IgnoreChildStops())
	g := open(b, "call_loop")
	for i := 0; i < 100; i++ {
		g.call()
	}
	mapPages(g.subprocess, holeAt, g.page, protRW)
	equal(soFar(), 0)
	wantStatus(startChild(0), 0)
	equal(soFar(), 1)
	kill(g.subprocess)
	g.run()
	wantKind(&g.event, trapgate.KindDead)
	g.close()
}

// Without that ptrace(2) raises SIGCHLD at every stop. Everything works all the same.
func childSignalsOfStops(b trapgate.Backend) {
	countChildSignals()
	g := open(b, "counting_calls")
	for i := uint64(1); i <= 100; i++ {
		g.call()
		equal(g.event.Syscall.Args[0], i)
	}
	g.close()
}

// SIGCHLD ignored reaps children by itself in the kernel: stubs must still be reaped and found dead.
func childSignalsIgnored(b trapgate.Backend) {
	signal.Ignore(syscall.SIGCHLD)
	for i := 0; i < 3; i++ {
		g := open(b, "counting_calls")
		g.call()
		g.call()
		kill(g.subprocess)
		g.run()
		wantKind(&g.event, trapgate.KindDead)
		g.close()
	}
}

// The kernel's struct sigaction of amd64 and arm64.
type action struct {
	handler, flags, restorer, mask uint64
}

type dispositions struct {
	actions [65]action
	blocked uint64
}

// readDispositions is for a goroutine that holds its thread.
func readDispositions() (now dispositions) {
	for signal := range now.actions {
		if signal == 0 {
			continue
		}
		_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(signal), 0,
			uintptr(unsafe.Pointer(&now.actions[signal])), 8, 0, 0)
		equal(errno, 0)
	}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, 0, 0, uintptr(unsafe.Pointer(&now.blocked)), 8, 0, 0)
	equal(errno, 0)
	return now
}

func signalsAreLeftAlone(b trapgate.Backend) {
	runtime.LockOSThread()
	before := readDispositions()
	g := open(b, "call_loop")
	g.call()
	ok(g.context.Interrupt())
	g.run()
	equal(readDispositions(), before)
	g.close()
	equal(readDispositions(), before)
}

func blockAllSignals() {
	all := ^uint64(0)
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, 2, uintptr(unsafe.Pointer(&all)), 0, 8, 0, 0)
	equal(errno, 0)
}

// A thread that blocks every signal is interrupted all the same.
func allSignalsBlocked(b trapgate.Backend) {
	runtime.LockOSThread()
	blockAllSignals()
	g := open(b, "spin_counting")
	setArg(g.context, 0, dataAt)
	join := start(func() {
		blockAllSignals()
		g.run()
	})
	waitChange(g.subprocess, dataAt, 0)
	ok(g.context.Interrupt())
	join()
	wantKind(&g.event, trapgate.KindInterrupted)
	g.close()
}

func affinity() (processors [128]uint64) {
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(processors),
		uintptr(unsafe.Pointer(&processors)))
	equal(errno, 0)
	return processors
}

// The library places stub threads, never the embedder's.
func affinityIsLeftAlone(b trapgate.Backend) {
	runtime.LockOSThread()
	before := affinity()
	g := open(b, "call_loop")
	for i := 0; i < 100; i++ {
		g.call()
	}
	equal(affinity(), before)
	g.close()
}

// Go forks only to start another program: the parent goes on.
func embedderForks(b trapgate.Backend) {
	g := open(b, "counting_calls")
	g.call()
	wantStatus(startChild(3), 3)
	g.call()
	equal(g.event.Syscall.Args[0], 2)
	g.close()
}
