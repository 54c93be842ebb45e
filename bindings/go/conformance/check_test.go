// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"

	"trapgate.dev/go/trapgate"
)

// What a loop is at; printed with the next failure.
var place atomic.Value

func at(format string, arguments ...any) { place.Store(fmt.Sprintf(format, arguments...)) }

// fail ends the process of a case. skip is how many helpers stand between it and the case.
func fail(skip int, format string, arguments ...any) {
	_, file, line, _ := runtime.Caller(skip + 1)
	fmt.Printf("%s:%d: %s", filepath.Base(file), line, fmt.Sprintf(format, arguments...))
	if at, there := place.Load().(string); there {
		fmt.Printf(" (at: %s)", at)
	}
	fmt.Println()
	os.Exit(1)
}

func skip(format string, arguments ...any) {
	fmt.Printf(format+"\n", arguments...)
	os.Exit(exitSkipped)
}

func check(condition bool, what string) {
	if !condition {
		fail(1, "not true: %s", what)
	}
}

func equal[T comparable](actual, expected T) {
	if actual != expected {
		fail(1, "is %v, not %v", actual, expected)
	}
}

func ok(err error) {
	if err != nil {
		fail(1, "%v", err)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		fail(1, "%v", err)
	}
	return value
}

// refused checks an error and its number; 0 is no error.
func refused(err error, errno syscall.Errno) {
	if errno == 0 && err == nil {
		return
	}
	if errno == 0 || !errors.Is(err, errno) {
		fail(1, "is %v, not %v", err, errno)
	}
}

// sentence is the library's, of an error.
func sentence(err error) string {
	var failure *trapgate.Error
	if !errors.As(err, &failure) {
		fail(1, "is %v, no error of the package", err)
	}
	return failure.Message
}

func same(actual, expected []byte) {
	if !bytes.Equal(actual, expected) {
		for i := range expected {
			if i >= len(actual) || actual[i] != expected[i] {
				fail(1, "byte %d of %d differs", i, len(expected))
			}
		}
		fail(1, "lengths are %d and %d", len(actual), len(expected))
	}
}
