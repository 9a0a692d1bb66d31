package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// tileHeight is what C2SP tlog-tiles prescribes. tlog names it in its paths (tile/8/0/000), C2SP
// leaves it out (tile/0/000); apart from that the two layouts are one.
const tileHeight = 8

type tileVector struct {
	Size   int64  `json:"size"`
	Path   string `json:"path"`
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// tileVectors gives, for some sizes, each level's first full tile, last full tile and partial tile.
func tileVectors(t *tree) []interface{} {
	var vectors []interface{}
	for _, size := range []int64{1, 70, 255, 256, 257, 513, 1000, 65535, 65536, 65537, 65793, 70000} {
		for level := uint(0); size>>(tileHeight*level) > 0; level++ {
			hashes := size >> (tileHeight * level)
			full, width := hashes>>tileHeight, int(hashes&(1<<tileHeight-1))
			if full > 0 {
				vectors = append(vectors, t.tile(size, level, 0, 1<<tileHeight))
			}
			if full > 1 {
				vectors = append(vectors, t.tile(size, level, full-1, 1<<tileHeight))
			}
			if width > 0 {
				vectors = append(vectors, t.tile(size, level, full, width))
			}
		}
	}
	return vectors
}

func (t *tree) tile(size int64, level uint, n int64, width int) tileVector {
	tile := tlog.Tile{H: tileHeight, L: int(level), N: n, W: width}
	data, err := tlog.ReadTileData(tile, t)
	fatal(err)
	sum := sha256.Sum256(data)
	return tileVector{size, c2spPath(tile), len(data), hex.EncodeToString(sum[:])}
}

type tilePathVector struct {
	Level int    `json:"level"`
	N     int64  `json:"n"`
	Width int    `json:"width"`
	Path  string `json:"path"`
}

func tilePaths() []interface{} {
	var vectors []interface{}
	for _, n := range []int64{0, 7, 999, 1000, 1001, 67999, 999999, 1000000, 1234067, 137438953471} {
		for _, width := range []int{1, 255, 256} {
			tile := tlog.Tile{H: tileHeight, L: int(n % 5), N: n, W: width}
			vectors = append(vectors, tilePathVector{tile.L, n, width, c2spPath(tile)})
		}
	}
	return vectors
}

func c2spPath(tile tlog.Tile) string {
	prefix := fmt.Sprintf("tile/%d/", tileHeight)
	return "tile/" + tile.Path()[len(prefix):]
}
