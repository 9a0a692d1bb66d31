package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8

// A tileFolder is a tlog.TileReader over C2SP tile paths, which are tlog's without the height.
type tileFolder struct {
	at   place
	read map[string]bool
}

func (f *tileFolder) Height() int { return tileHeight }

func (f *tileFolder) SaveTiles([]tlog.Tile, [][]byte) {}

func (f *tileFolder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		path := c2spPath(tile)
		bytes, err := f.at.read(path)
		if os.IsNotExist(err) && tile.W < 1<<tileHeight {
			// A partial tile may be deleted once the full one is there, which begins with the same hashes.
			path = c2spPath(tlog.Tile{H: tile.H, L: tile.L, N: tile.N, W: 1 << tileHeight})
			bytes, err = f.at.read(path)
			if err == nil && len(bytes) > tile.W*tlog.HashSize {
				bytes = bytes[:tile.W*tlog.HashSize]
			}
		}
		if err != nil {
			return nil, err
		}
		data[i] = bytes
		f.read[path] = true
	}
	return data, nil
}

func c2spPath(tile tlog.Tile) string {
	return "tile/" + strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight))
}

func openTiles(at place, tree tlog.Tree) (tlog.HashReader, *tileFolder) {
	folder := &tileFolder{at, map[string]bool{}}
	return tlog.TileHashReader(tree, folder), folder
}

// compareTiles reads every hash of the tree through the tiles. Where several subtrees of the root lie
// in one tile, this version's TileHashReader leaves some tiles unauthenticated, so each hash it gives is
// also compared with that of the lines.
func compareTiles(r *report, at place, lines *lineTree, tree tlog.Tree) {
	const batch = 8192
	reader, folder := openTiles(at, tree)
	count := tlog.StoredHashCount(tree.N)
	for start := int64(0); start < count; start += batch {
		var indexes []int64
		for index := start; index < count && index < start+batch; index++ {
			indexes = append(indexes, index)
		}
		hashes, err := reader.ReadHashes(indexes)
		if err != nil {
			r.disagree("tiles: %v", err)
			return
		}
		for i, index := range indexes {
			if hashes[i] != lines.stored[index] {
				level, n := tlog.SplitStoredHashIndex(index)
				r.disagree("tiles: hash %d of level %d is not that of the lines", n, level)
				return
			}
			r.Hashes++
		}
	}
	r.Tiles = len(folder.read)
}
