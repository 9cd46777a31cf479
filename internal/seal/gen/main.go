//go:build ignore

// The program gen generates the list of common passwords: it reads a JSON array of words and writes
// the entries that package seal looks up.
//
//	go run internal/seal/gen/main.go <passwords.json >internal/seal/common.bin
package main

import (
	"crypto/sha1"
	"encoding/json"
	"log"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func main() {
	var words []string
	if err := json.NewDecoder(os.Stdin).Decode(&words); err != nil {
		log.Fatal(err)
	}
	var entries []string
	for _, word := range words {
		word = strings.ToLower(norm.NFKC.String(word)) // as in blocklist.go
		if utf8.RuneCountInString(word) < 8 {
			continue // shorter than any valid password
		}
		sum := sha1.Sum([]byte(word))
		entries = append(entries, string(sum[:8]))
	}
	slices.Sort(entries)
	entries = slices.Compact(entries)
	if _, err := os.Stdout.WriteString(strings.Join(entries, "")); err != nil {
		log.Fatal(err)
	}
	log.Printf("%d words, %d entries", len(words), len(entries))
}
