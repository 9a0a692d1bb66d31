package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"
)

const bundleWidth = 256

// read gives a resource of the log by its path: over HTTP where the log is served, else from the folder.
func (at place) read(path string) ([]byte, error) {
	if at.url == "" {
		return os.ReadFile(filepath.Join(at.dir, path))
	}
	response, err := http.Get(at.url + "/" + path)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("%s: %w", path, os.ErrNotExist)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, response.Status)
	}
	return io.ReadAll(response.Body)
}

func (k *keys) readNewest(at place) (*checkpoint, error) {
	message, err := at.read("checkpoint")
	if err != nil {
		return nil, err
	}
	c, err := k.openCheckpoint(message)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %v", err)
	}
	return c, nil
}

// compareEntries reads every bundle of the tree and compares the hash of each entry with that of the line.
func compareEntries(r *report, at place, lines *lineTree, tree tlog.Tree) {
	for first := int64(0); first < tree.N; first += bundleWidth {
		width := tree.N - first
		if width > bundleWidth {
			width = bundleWidth
		}
		// A bundle's path is that of the level 0 tile with "entries" for the level.
		tile := c2spPath(tlog.Tile{H: tileHeight, L: 0, N: first / bundleWidth, W: int(width)})
		path := "tile/entries" + tile[len("tile/0"):]
		bundle, err := at.read(path)
		if err != nil {
			r.disagree("entries: %v", err)
			return
		}
		for i := int64(0); i < width; i++ {
			if len(bundle) < 2 || len(bundle)-2 < int(binary.BigEndian.Uint16(bundle)) {
				r.disagree("%s: ends before entry %d", path, i)
				return
			}
			end := 2 + int(binary.BigEndian.Uint16(bundle))
			if tlog.RecordHash(bundle[2:end]) != lines.leaf(first+i) {
				r.disagree("%s: entry %d is not record %d", path, i, first+i)
				return
			}
			bundle = bundle[end:]
			r.Entries++
		}
		if len(bundle) > 0 {
			r.disagree("%s: holds more than %d entries", path, width)
			return
		}
	}
}
