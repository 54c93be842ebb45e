// SPDX-License-Identifier: Apache-2.0 OR MIT

// Looks at the clock as often as it is told to.
package main

import (
	"os"
	"strconv"
	"time"
)

func main() {
	looks, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	last := time.Now()
	for i := 0; i < looks; i++ {
		now := time.Now()
		if now.Before(last) {
			panic("time went back")
		}
		last = now
	}
	os.Stdout.WriteString("looked\n")
}
