package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// A cosigner verifies c2sp.org/tlog-cosignature lines as a key of Go's note package, which finds the
// lines by name and key hash and knows nothing of their algorithm.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }

func (c *cosigner) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	time := binary.BigEndian.Uint64(signature)
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", time, text)
	return time > 0 && ed25519.Verify(c.key, []byte(message), signature[8:])
}

func readCosigner(file string) (*cosigner, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	parts := strings.SplitN(strings.TrimSpace(string(text)), "+", 3)
	if len(parts) != 3 {
		return nil, fmt.Errorf("%s: not a verifier key", file)
	}
	material, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil {
		return nil, fmt.Errorf("%s: %v", file, err)
	}
	if len(material) != 1+ed25519.PublicKeySize || material[0] != 4 {
		return nil, fmt.Errorf("%s: not a key of signature type 4", file)
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), material...))
	if hex.EncodeToString(sum[:4]) != parts[1] {
		return nil, fmt.Errorf("%s: the key hash is not the one it names", file)
	}
	return &cosigner{parts[0], binary.BigEndian.Uint32(sum[:4]), material[1:]}, nil
}

// compareCosigned opens each cosigned checkpoint of the folder with the witness's key alone and with the
// log's alone, and compares what was signed with the lines.
func compareCosigned(r *report, dir, witnessFile string, k *keys, lines *lineTree, newest *checkpoint) {
	witness, err := readCosigner(witnessFile)
	if err != nil {
		r.disagree("%v", err)
		return
	}
	names, err := filepath.Glob(dir + "/cosigned/" + strings.Repeat("[0-9]", 20))
	if err != nil {
		panic(err)
	}
	for _, file := range names {
		message, err := os.ReadFile(file)
		if err != nil {
			r.disagree("%v", err)
			continue
		}
		if _, err := note.Open(message, note.VerifierList(witness)); err != nil {
			r.disagree("%s: cosignature: %v", file, err)
			continue
		}
		c, err := k.openCheckpoint(message)
		if err != nil {
			r.disagree("%s: %v", file, err)
			continue
		}
		if filepath.Base(file) != fmt.Sprintf("%020d", c.tree.N) || !bytes.Contains(message, []byte(witness.name)) {
			r.disagree("%s: is named by another size than the %d it signs", file, c.tree.N)
			continue
		}
		if !agrees(r, lines, file, c) {
			continue
		}
		proveTree(r, file, lines, newest.tree, c.tree)
		r.Cosigned++
	}
}
