// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"trapgate.dev/go/trapgate"
)

const (
	caseVariable  = "TRAPGATE_CASE"  // backend/case: run it and end
	limitVariable = "TRAPGATE_LIMIT" // seconds for a case
	exitSkipped   = 77
	lastWords     = 5 * time.Second // for a case that was too slow

	setChildSubreaper = 36 // PR_SET_CHILD_SUBREAPER
	waitAll           = 0x40000000
)

type testCase struct {
	name string
	run  func(trapgate.Backend)
}

// Every file adds its cases.
var (
	areas    [][]testCase
	backends = []trapgate.Backend{trapgate.BackendPtrace, trapgate.BackendSystrap}
)

func TestMain(m *testing.M) {
	readRows()
	checkRows()
	if name := os.Getenv(caseVariable); name != "" {
		runNamed(name)
	}
	os.Exit(m.Run())
}

// runNamed runs what backend/name means in this process, and ends it.
func runNamed(name string) {
	for _, backend := range backends {
		prefix := backend.String() + "/"
		if len(name) > len(prefix) && name[:len(prefix)] == prefix {
			if run := findCase(name[len(prefix):]); run != nil {
				run(backend)
				os.Exit(0)
			}
		}
	}
	fmt.Printf("nothing is called %s\n", name)
	os.Exit(2)
}

func findCase(name string) func(trapgate.Backend) {
	for _, area := range areas {
		for _, test := range area {
			if test.name == name {
				return test.run
			}
		}
	}
	return nil
}

func limit() time.Duration {
	if seconds, err := strconv.Atoi(os.Getenv(limitVariable)); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	return time.Minute
}

func TestConformance(t *testing.T) {
	if os.Getenv(guestsVariable) == "" {
		t.Skip(guestsVariable + " is not set")
	}
	// What a case leaves behind comes to us, and has to end by itself.
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setChildSubreaper, 1, 0); errno != 0 {
		t.Fatal(errno)
	}
	for _, backend := range backends {
		t.Run(backend.String(), func(t *testing.T) {
			for _, area := range areas {
				for _, test := range area {
					name := backend.String() + "/" + test.name
					t.Run(test.name, func(t *testing.T) { runCase(t, name) })
				}
			}
		})
	}
}

func runCase(t *testing.T, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), limit()+lastWords)
	defer cancel()
	command := exec.CommandContext(ctx, "/proc/self/exe")
	// The race detector would sleep for a second at each end.
	command.Env = append(os.Environ(), caseVariable+"="+name, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var late atomic.Bool
	warning := time.AfterFunc(limit(), func() {
		late.Store(true)
		_ = command.Process.Signal(syscall.SIGQUIT) // Go says where every goroutine is
	})
	err := command.Wait()
	warning.Stop()
	ended := descendantsEnd(limit())
	var exit *exec.ExitError
	switch {
	case late.Load():
		t.Errorf("still running after %v\n%s", limit(), output.Bytes())
	case !ended:
		t.Errorf("left processes behind\n%s", output.Bytes())
	case errors.As(err, &exit) && exit.ExitCode() == exitSkipped:
		t.Skip(output.String())
	case err != nil:
		t.Errorf("%v\n%s", err, output.Bytes())
	case output.Len() > 0:
		t.Log(output.String())
	}
}

func descendantsEnd(patience time.Duration) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		pid, err := syscall.Wait4(-1, nil, waitAll|syscall.WNOHANG, nil)
		if err == syscall.ECHILD {
			return true
		}
		if pid == 0 {
			time.Sleep(5 * time.Millisecond)
		}
	}
	return false
}

// names are the cases of a table in Markdown.
func names(markdown []byte) map[string]bool {
	found := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+[.][a-z0-9_]+)` \\|").FindAllSubmatch(markdown, -1) {
		found[string(row[1])] = true
	}
	return found
}

// inCAlone are the entries of the table's list of cases that run in C alone; area.* stands for a whole area.
func inCAlone(markdown []byte, name string) bool {
	_, list, _ := bytes.Cut(markdown, []byte("\n## In C alone\n"))
	for _, row := range regexp.MustCompile("(?m)^- `([a-z0-9_.*]+)`$").FindAllSubmatch(list, -1) {
		entry := string(row[1])
		if area := strings.TrimSuffix(entry, "*"); entry == name || area != entry && strings.HasPrefix(name, area) {
			return true
		}
	}
	return false
}

// Every case of the C table is here, on its list of what runs in C alone, or on the list of what Go cannot do; and nothing
// else is.
func TestTableIsComplete(t *testing.T) {
	readme, err := os.ReadFile("../../../tests/conformance/README.md")
	if err != nil {
		t.Skip("the table of the C tests is not there: ", err)
	}
	known := map[string]bool{}
	var leftOut []string
	for name, reason := range impossible {
		if len(reason) < 20 {
			t.Errorf("%s: %q is no reason", name, reason)
		}
		known[name] = true
		leftOut = append(leftOut, name)
	}
	sort.Strings(leftOut)
	ported := 0
	for _, area := range areas {
		for _, test := range area {
			if known[test.name] {
				t.Errorf("%s is there twice", test.name)
			}
			known[test.name] = true
			ported++
		}
	}
	wanted := names(readme)
	for name := range wanted {
		if !known[name] && !inCAlone(readme, name) {
			t.Errorf("%s is neither ported nor listed as impossible", name)
		}
	}
	for name := range known {
		if !wanted[name] {
			t.Errorf("%s is not in the table of the C tests", name)
		}
	}
	t.Logf("%d of the %d cases of the table are here, for %d backends; left out:", ported, len(wanted), len(backends))
	for _, name := range leftOut {
		t.Logf("%s: %s", name, impossible[name])
	}
}

// README.md of the package names what is left out, with the reasons that stand here.
func TestReadmeSaysWhatIsLeftOut(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, reason := range impossible {
		if row := fmt.Sprintf("| `%s` | %s |\n", name, reason); !bytes.Contains(readme, []byte(row)) {
			t.Errorf("README.md does not say: %s", row)
		}
	}
	for name := range names(readme) {
		if impossible[name] == "" {
			t.Errorf("README.md says that %s cannot be here", name)
		}
	}
}
