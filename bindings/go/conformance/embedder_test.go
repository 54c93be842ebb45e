// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"io"
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
		{"embedder.own_children", ownChildrenAreNotStolen},
		{"embedder.sigchld", childSignalsMeanChildren},
		{"embedder.signals_left_alone", signalsAreLeftAlone},
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

func liveInAHurry(b trapgate.Backend) {
	os.Stdout.Write([]byte{'x'})
	for {
		g := open(b, "call_loop")
		g.call()
		run(g.context, forkOf(g.subprocess))
		g.close()
	}
}

func exitWithoutClosing(b trapgate.Backend) {
	g := open(b, "call_loop")
	g.call()
	os.Exit(5)
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
