// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"sort"
	"strings"
)

type counter[K comparable] struct{ m map[K]int }

func (c *counter[K]) add(k K) { c.m[k]++ }

//go:noinline
func hot(n int) int {
	x := []int{}
	for i := 0; i < n; i++ {
		x = append(x, mix(i, n))
	}
	sort.Ints(x)
	return len(x)
}

func mix(a, b int) int { return scale(a) ^ b }

func scale(a int) int {
	if a > 3 {
		return a * 7
	}
	return a
}

func main() {
	c := &counter[string]{map[string]int{}}
	for i := 0; i < 10; i++ {
		c.add(strings.Repeat("x", i))
		func() {
			defer func() { recover() }()
			fmt.Fprintln(os.Stderr, hot(i))
		}()
	}
	fmt.Println(len(c.m))
}
