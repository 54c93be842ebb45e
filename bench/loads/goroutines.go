// SPDX-License-Identifier: Apache-2.0 OR MIT

// goroutines ROUNDS - goroutines that pass work on and make system calls of several kinds; prints how much they wrote.
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
)

const workers = 8

// A round opens, writes, looks at and closes a file.
func work(rounds <-chan int, written chan<- int) {
	for round := range rounds {
		file, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		count, _ := fmt.Fprintf(file, "round %d of %d\n", round, os.Getppid())
		if _, err := file.Stat(); err != nil {
			count = 0
		}
		file.Close()
		written <- count
	}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: goroutines ROUNDS")
		os.Exit(2)
	}
	count, err := strconv.Atoi(os.Args[1])
	if err != nil || count < 1 {
		fmt.Fprintln(os.Stderr, "goroutines: ROUNDS is a positive number")
		os.Exit(2)
	}
	rounds, written := make(chan int), make(chan int)
	var group sync.WaitGroup
	for i := 0; i < workers; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			work(rounds, written)
		}()
	}
	go func() {
		for round := 0; round < count; round++ {
			rounds <- round
		}
		close(rounds)
		group.Wait()
		close(written)
	}()
	sum := 0
	for bytes := range written {
		sum += bytes
	}
	fmt.Println(sum)
}
