package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const lineBytesMax = 65535

// A lineTree is the tree over the lines of a folder, in tlog's storage order.
type lineTree struct {
	size   int64
	stored []tlog.Hash
}

func (t *lineTree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index < 0 || index >= int64(len(t.stored)) {
			return nil, fmt.Errorf("the lines have no stored hash %d", index)
		}
		hashes[i] = t.stored[index]
	}
	return hashes, nil
}

func (t *lineTree) root(size int64) tlog.Hash {
	if size == 0 {
		return emptyRoot()
	}
	root, err := tlog.TreeHash(size, t)
	if err != nil {
		panic(err)
	}
	return root
}

func (t *lineTree) leaf(index int64) tlog.Hash {
	return t.stored[tlog.StoredHashIndex(0, index)]
}

func (t *lineTree) add(line []byte) error {
	hashes, err := tlog.StoredHashes(t.size, line, t)
	if err != nil {
		return err
	}
	t.stored = append(t.stored, hashes...)
	t.size++
	return nil
}

// readLines builds the tree from the segments. A file must begin where the one before ends.
func readLines(r *report, dir string) (*lineTree, error) {
	segments, err := filepath.Glob(dir + "/segments/" + strings.Repeat("[0-9]", 20) + ".jsonl")
	if err != nil {
		return nil, err
	}
	t := &lineTree{}
	for _, segment := range segments {
		if name := fmt.Sprintf("%020d.jsonl", t.size); filepath.Base(segment) != name {
			return nil, fmt.Errorf("%s: the lines before it end where %s should begin", segment, name)
		}
		if err := readSegment(t, segment); err != nil {
			return nil, err
		}
		r.Segments++
	}
	r.Records = t.size
	return t, nil
}

func readSegment(t *lineTree, segment string) error {
	file, err := os.Open(segment)
	if err != nil {
		return err
	}
	defer file.Close()
	reader := bufio.NewReaderSize(file, lineBytesMax+1)
	for {
		line, err := reader.ReadSlice('\n')
		if err == io.EOF {
			// What follows the last newline is an unfinished write, no record.
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: record %d: %v", segment, t.size, err)
		}
		line = line[:len(line)-1]
		var record struct {
			Seq *int64 `json:"seq"`
		}
		if err := json.Unmarshal(line, &record); err != nil {
			return fmt.Errorf("%s: record %d: %v", segment, t.size, err)
		}
		if record.Seq == nil || *record.Seq != t.size {
			return fmt.Errorf("%s: the line of record %d has another seq", segment, t.size)
		}
		if err := t.add(line); err != nil {
			return err
		}
	}
}
