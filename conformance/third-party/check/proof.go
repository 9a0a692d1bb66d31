package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// proveRecords proves the inclusion of records from the tiles and checks each proof against the leaf
// hash of the line.
func proveRecords(r *report, at place, lines *lineTree, tree tlog.Tree, indexes numbers) {
	reader, _ := openTiles(at, tree)
	for _, index := range indexes {
		proof, err := tlog.ProveRecord(tree.N, index, reader)
		if err == nil {
			err = tlog.CheckRecord(proof, tree.N, tree.Hash, index, lines.leaf(index))
		}
		if err != nil {
			r.disagree("inclusion of record %d in %d: %v", index, tree.N, err)
			continue
		}
		r.Inclusion++
	}
}

// proveTrees proves from the tiles that the tree extends each of the smaller ones.
func proveTrees(r *report, at place, lines *lineTree, tree tlog.Tree, sizes numbers) {
	reader, _ := openTiles(at, tree)
	for _, size := range sizes {
		if size < 1 || size > tree.N {
			r.disagree("consistency from size %d: the tree has %d records", size, tree.N)
			continue
		}
		smaller := tlog.Tree{N: size, Hash: lines.root(size)}
		proveTree(r, fmt.Sprintf("size %d", size), reader, tree, smaller)
	}
}

func proveTree(r *report, name string, reader tlog.HashReader, tree, smaller tlog.Tree) {
	proof, err := tlog.ProveTree(tree.N, smaller.N, reader)
	if err == nil {
		err = tlog.CheckTree(proof, tree.N, tree.Hash, smaller.N, smaller.Hash)
	}
	if err != nil {
		r.disagree("%s: consistency of %d with %d: %v", name, smaller.N, tree.N, err)
		return
	}
	r.Consistency++
}

// A recordProof is the content of a C2SP tlog-proof file.
type recordProof struct {
	line       []byte
	index      int64
	hashes     tlog.RecordProof
	checkpoint []byte
}

func parseProof(text string) (*recordProof, error) {
	end := strings.Index(text, "\n\n")
	if end < 0 {
		return nil, fmt.Errorf("has no empty line before the checkpoint")
	}
	p := &recordProof{checkpoint: []byte(text[end+2:])}
	lines := strings.Split(text[:end], "\n")
	if len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return nil, fmt.Errorf("is no c2sp.org/tlog-proof@v1 with extra and index")
	}
	extra, index := strings.TrimPrefix(lines[1], "extra "), strings.TrimPrefix(lines[2], "index ")
	if extra == lines[1] || index == lines[2] {
		return nil, fmt.Errorf("lacks the extra or the index line")
	}
	var err error
	if p.line, err = base64.StdEncoding.Strict().DecodeString(extra); err != nil {
		return nil, err
	}
	if p.index, err = strconv.ParseInt(index, 10, 64); err != nil {
		return nil, err
	}
	if strconv.FormatInt(p.index, 10) != index || p.index < 0 {
		return nil, fmt.Errorf("the index %q is not a plain decimal", index)
	}
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return nil, err
		}
		p.hashes = append(p.hashes, hash)
	}
	return p, nil
}

func compareProof(r *report, k *keys, lines *lineTree, file string) {
	if err := checkProof(k, lines, file); err != nil {
		r.disagree("%s: %v", file, err)
		return
	}
	r.Proofs++
}

func checkProof(k *keys, lines *lineTree, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	p, err := parseProof(string(text))
	if err != nil {
		return err
	}
	c, err := k.openCheckpoint(p.checkpoint)
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(p.hashes, c.tree.N, c.tree.Hash, p.index, tlog.RecordHash(p.line)); err != nil {
		return err
	}
	// The proof stands alone; but here the folder is at hand too, and must tell the same.
	if c.tree.N > lines.size {
		return fmt.Errorf("its checkpoint signs %d records, the folder holds %d", c.tree.N, lines.size)
	}
	if lines.leaf(p.index) != tlog.RecordHash(p.line) {
		return fmt.Errorf("its line is not record %d of the folder", p.index)
	}
	if root := lines.root(c.tree.N); root != c.tree.Hash {
		return fmt.Errorf("its root is %v, that of the lines %v", c.tree.Hash, root)
	}
	return nil
}
