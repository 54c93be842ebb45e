// SPDX-License-Identifier: Apache-2.0 OR MIT

// Command lockedthreads has as many threads as it is asked for, each of which a goroutine holds.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
)

func main() {
	count, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	var (
		all     sync.WaitGroup
		meeting sync.WaitGroup
		threads sync.Map
	)
	meeting.Add(count)
	for i := 0; i < count; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			runtime.LockOSThread()
			meeting.Done()
			meeting.Wait()
			threads.Store(syscall.Gettid(), true)
		}()
	}
	all.Wait()
	different := 0
	threads.Range(func(any, any) bool { different++; return true })
	fmt.Println(different, "threads")
}
