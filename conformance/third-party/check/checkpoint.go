package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type keys struct {
	verifier note.Verifier
}

type checkpoint struct {
	origin string
	tree   tlog.Tree
}

func readKey(file string) (*keys, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(strings.TrimSuffix(string(text), "\n"))
	if err != nil {
		return nil, fmt.Errorf("%s: %v", file, err)
	}
	return &keys{verifier}, nil
}

func (k *keys) readCheckpoint(file string) (*checkpoint, error) {
	message, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c, err := k.openCheckpoint(message)
	if err != nil {
		return nil, fmt.Errorf("%s: %v", file, err)
	}
	return c, nil
}

// openCheckpoint gives the size and root that the log's key signed. tlog.ParseTree knows only the go.sum
// database's first line; with that line in the origin's place, Go itself parses the other two.
func (k *keys) openCheckpoint(message []byte) (*checkpoint, error) {
	opened, err := note.Open(message, note.VerifierList(k.verifier))
	if err != nil {
		return nil, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return nil, fmt.Errorf("the signed text has not three lines: %q", opened.Text)
	}
	if lines[0] != k.verifier.Name() {
		return nil, fmt.Errorf("the origin is %q, the key's name is %q", lines[0], k.verifier.Name())
	}
	tree, err := tlog.ParseTree([]byte("go.sum database tree\n" + lines[1] + "\n" + lines[2] + "\n"))
	if err != nil {
		return nil, err
	}
	return &checkpoint{lines[0], tree}, nil
}

// agrees recomputes a checkpoint's root from the lines.
func agrees(r *report, lines *lineTree, name string, c *checkpoint) bool {
	if c.tree.N > lines.size {
		r.disagree("%s: signs %d records, the folder holds %d", name, c.tree.N, lines.size)
		return false
	}
	if root := lines.root(c.tree.N); root != c.tree.Hash {
		r.disagree("%s: the root over %d lines is %v, signed is %v", name, c.tree.N, root, c.tree.Hash)
		return false
	}
	return true
}

// compareCheckpoints takes the folder's sealed checkpoints and those brought: each must be the root
// of its lines, and the newest checkpoint must be provably an extension of it.
func compareCheckpoints(r *report, dir string, k *keys, lines *lineTree, newest *checkpoint, brought files) {
	sealed, err := filepath.Glob(dir + "/checkpoints/" + strings.Repeat("[0-9]", 20))
	if err != nil {
		panic(err)
	}
	for _, file := range append(sealed, brought...) {
		c, err := k.readCheckpoint(file)
		if err != nil {
			r.disagree("%v", err)
			continue
		}
		if !agrees(r, lines, file, c) {
			continue
		}
		r.Checkpoints++
		smaller, larger := c.tree, newest.tree
		if smaller.N > larger.N {
			smaller, larger = larger, smaller
		}
		if smaller.N > 0 {
			proveTree(r, file, lines, larger, smaller)
		}
	}
	for _, file := range sealed {
		c, err := k.readCheckpoint(file)
		if err == nil && filepath.Base(file) != fmt.Sprintf("%020d", c.tree.N) {
			r.disagree("%s: is named by another size than the %d it signs", file, c.tree.N)
		}
	}
}

// emptyRoot is RFC 6962's; tlog gives zero bytes for a tree of no records.
func emptyRoot() tlog.Hash { return tlog.Hash(sha256.Sum256(nil)) }
