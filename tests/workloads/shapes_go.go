// SPDX-License-Identifier: Apache-2.0
// Goroutines, closures, interfaces, maps and garbage, as Go programs have them.
package main

import (
	"fmt"
	"sort"
	"strings"
	"time"
)

type stepper interface{ step(x uint64) uint64 }

type mixer struct{ n uint64 }

//go:noinline
func (m *mixer) step(x uint64) uint64 {
	for i := uint64(0); i < m.n; i++ {
		x = x*6364136223846793005 + i
	}
	return x
}

//go:noinline
func sortNumbers(x uint64) uint64 {
	numbers := make([]uint64, 20000)
	for i := range numbers {
		numbers[i] = uint64(i) * x % 10007
	}
	sort.Slice(numbers, func(a, b int) bool { return numbers[a] > numbers[b] })
	return numbers[0]
}

//go:noinline
func countWords(text string) int {
	words := map[string]int{}
	for _, word := range strings.Fields(text) {
		words[word]++
	}
	return len(words)
}

func worker(done <-chan struct{}, sum chan<- uint64) {
	var s stepper = &mixer{200000}
	text := strings.Repeat("a few words that come again and again ", 500)
	x := uint64(1)
	for {
		select {
		case <-done:
			sum <- x
			return
		default:
			x = s.step(x)
			x ^= sortNumbers(x)
			x ^= uint64(countWords(text))
		}
	}
}

func main() {
	done := make(chan struct{})
	sum := make(chan uint64)
	go worker(done, sum)
	fmt.Println("ready")
	time.AfterFunc(120*time.Second, func() { close(done) })
	fmt.Println(<-sum)
}
