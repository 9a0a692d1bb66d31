package main

import (
	"crypto/sha256"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	// allProofsMax is the largest size of which every inclusion and consistency proof is written.
	allProofsMax = 70
	leavesMax    = 70000
)

var largeSizes = []int64{
	71, 100, 127, 128, 129, 255, 256, 257, 511, 512, 513, 1000, 1023, 1024, 1025,
	65535, 65536, 65537, 65792, 65793, 66000, 69999, 70000,
}

// A tree holds the stored hashes of the leaves `leaf 0`, `leaf 1`, … in tlog's own storage order.
type tree struct {
	stored []tlog.Hash
	// table gives each hash that some proof uses a number, so that thousands of proofs stay small.
	table map[tlog.Hash]int
	order []interface{}
}

func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hashes[i] = t.stored[index]
	}
	return hashes, nil
}

func leaf(i int64) []byte { return []byte(fmt.Sprintf("leaf %d", i)) }

func newTree(leaves int64) *tree {
	t := &tree{table: map[tlog.Hash]int{}}
	for i := int64(0); i < leaves; i++ {
		hashes, err := tlog.StoredHashes(i, leaf(i), t)
		fatal(err)
		t.stored = append(t.stored, hashes...)
	}
	return t
}

// root is RFC 6962's for every size. tlog itself gives 32 zero bytes for the empty tree.
func (t *tree) root(size int64) tlog.Hash {
	if size == 0 {
		return tlog.Hash(sha256.Sum256(nil))
	}
	root, err := tlog.TreeHash(size, t)
	fatal(err)
	return root
}

func (t *tree) numbers(hashes []tlog.Hash) []int {
	numbers := make([]int, len(hashes))
	for i, hash := range hashes {
		number, known := t.table[hash]
		if !known {
			number = len(t.order)
			t.table[hash] = number
			t.order = append(t.order, hash)
		}
		numbers[i] = number
	}
	return numbers
}

func (t *tree) inclusion(size, index int64) []int {
	proof, err := tlog.ProveRecord(size, index, t)
	fatal(err)
	fatal(tlog.CheckRecord(proof, size, t.root(size), index, tlog.RecordHash(leaf(index))))
	return t.numbers(proof)
}

func (t *tree) consistency(size, oldSize int64) []int {
	proof, err := tlog.ProveTree(size, oldSize, t)
	fatal(err)
	fatal(tlog.CheckTree(proof, size, t.root(size), oldSize, t.root(oldSize)))
	return t.numbers(proof)
}

type rootVector struct {
	Size int64     `json:"size"`
	Root tlog.Hash `json:"root"`
}

// A proofsVector holds all proofs of one size: of the indexes 0, 1, … for inclusion, and of the
// smaller sizes 1, 2, … for consistency.
type proofsVector struct {
	Size   int64   `json:"size"`
	Proofs [][]int `json:"proofs"`
}

type inclusionVector struct {
	Size  int64 `json:"size"`
	Index int64 `json:"index"`
	Proof []int `json:"proof"`
}

type consistencyVector struct {
	OldSize int64 `json:"old_size"`
	Size    int64 `json:"size"`
	Proof   []int `json:"proof"`
}

func treeVectors() []member {
	t := newTree(leavesMax)
	var leaves, roots, inclusion, consistency []interface{}
	for i := int64(0); i <= allProofsMax; i++ {
		leaves = append(leaves, tlog.RecordHash(leaf(i)))
	}
	for size := int64(0); size <= allProofsMax; size++ {
		roots = append(roots, rootVector{size, t.root(size)})
		if size == 0 {
			continue
		}
		records, trees := proofsVector{Size: size}, proofsVector{Size: size}
		for i := int64(0); i < size; i++ {
			records.Proofs = append(records.Proofs, t.inclusion(size, i))
			trees.Proofs = append(trees.Proofs, t.consistency(size, i+1))
		}
		inclusion, consistency = append(inclusion, records), append(consistency, trees)
	}
	for _, size := range largeSizes {
		roots = append(roots, rootVector{size, t.root(size)})
	}
	inclusionLarge, consistencyLarge := largeProofs(t)
	tiles := tileVectors(t)
	return []member{
		{name: "source", value: "golang.org/x/mod v0.7.0, sumdb/tlog"},
		{name: "leaf", value: "leaf <i>"},
		{name: "leaf_hashes", list: leaves},
		{name: "roots", list: roots},
		{name: "hashes", list: t.order},
		{name: "inclusion", list: inclusion},
		{name: "consistency", list: consistency},
		{name: "inclusion_large", list: inclusionLarge},
		{name: "consistency_large", list: consistencyLarge},
		{name: "tiles", list: tiles},
		{name: "tile_paths", list: tilePaths()},
	}
}

// largeProofs proves, for each large size, the places where the tree's shape changes: its ends, the
// edges of tiles, and what lies beside the largest power of two.
func largeProofs(t *tree) (inclusion, consistency []interface{}) {
	for _, size := range largeSizes {
		split := int64(1)
		for split*2 < size {
			split *= 2
		}
		places := []int64{0, 1, 127, 255, 256, split - 1, split, split + 1, size / 3, size - 2, size - 1}
		seen := map[int64]bool{}
		for _, place := range places {
			if place < 0 || place >= size || seen[place] {
				continue
			}
			seen[place] = true
			inclusion = append(inclusion, inclusionVector{size, place, t.inclusion(size, place)})
			consistency = append(consistency, consistencyVector{place + 1, size, t.consistency(size, place+1)})
		}
	}
	return inclusion, consistency
}
