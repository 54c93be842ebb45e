// SPDX-License-Identifier: Apache-2.0 OR MIT

// timers MS - prints the ns of making a timer and stopping it, in a program that does nothing else: what Go programs
// that set a deadline for each request do.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

const timersOfRound = 10000

func roundNs() float64 {
	start := time.Now()
	for i := 0; i < timersOfRound; i++ {
		time.NewTimer(time.Hour).Stop()
	}
	return float64(time.Since(start).Nanoseconds()) / timersOfRound
}

// The best round: what disturbs one can only slow it down.
func bestNs(duration time.Duration) float64 {
	best := roundNs()
	for end := time.Now().Add(duration); time.Now().Before(end); {
		if ns := roundNs(); ns < best {
			best = ns
		}
	}
	return best
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: timers MS")
		os.Exit(2)
	}
	ms, err := strconv.Atoi(os.Args[1])
	if err != nil || ms < 1 {
		fmt.Fprintln(os.Stderr, "timers: MS is a positive number")
		os.Exit(2)
	}
	fmt.Printf("%.1f\n", bestNs(time.Duration(ms)*time.Millisecond))
}
