// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// processState is the letter of /proc/PID/stat, 0 when there is no such process.
func processState(pid int) byte {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	behind := strings.LastIndexByte(string(line), ')') + 2
	if behind >= len(line) {
		return 0
	}
	return line[behind]
}

func processAlive(pid int) bool {
	state := processState(pid)
	return state != 0 && state != 'Z' && state != 'X'
}

func waitGone(pid int) {
	for processAlive(pid) {
		time.Sleep(time.Millisecond)
	}
}

func entries(folder string) int { return len(must(os.ReadDir(folder))) }

func threadCount(pid int) int { return entries(fmt.Sprintf("/proc/%d/task", pid)) }

// openDescriptors does not count the one that reads the list.
func openDescriptors() int { return entries("/proc/self/fd") - 1 }

type mapping struct {
	start, end   uint64
	rights, name string
}

func mappings(pid int) (list []mapping) {
	text := string(must(os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))))
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		var m mapping
		_, err := fmt.Sscanf(line, "%x-%x %s", &m.start, &m.end, &m.rights)
		ok(err)
		if fields := strings.Fields(line); len(fields) > 5 {
			m.name = strings.Join(fields[5:], " ")
		}
		list = append(list, m)
	}
	return list
}

// memoryFile makes a file in memory.
func memoryFile(length uint64) int {
	name := []byte("trapgate-test\x00")
	fd, _, errno := syscall.Syscall(sysMemfdCreate, uintptr(unsafe.Pointer(&name[0])), 1, 0)
	if errno != 0 {
		fail(1, "memfd_create: %v", errno)
	}
	ok(syscall.Ftruncate(int(fd), int64(length)))
	return int(fd)
}
