package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// The two published examples: that of C2SP signed-note, and that of Go's own documentation.
const (
	specKey  = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
	specNote = "This is an example message.\n\n" +
		"— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
	goKey  = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
	goNote = "If you think cryptography is the answer to your problem,\n" +
		"then you don't know what your problem is.\n\n" +
		"— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)

const (
	origin  = "host.example/gatebook/000102030405060708090a0b0c0d0e0f"
	witness = "witness.example/w1"
)

type keyVector struct {
	Name      string `json:"name"`
	Seed      string `json:"seed"`
	PublicKey string `json:"public_key"`
	Skey      string `json:"skey"`
	Vkey      string `json:"vkey"`
	PKCS8     string `json:"pkcs8_der"`
}

// key makes a key pair from a seed whose every byte is fill.
func key(name string, fill byte) (keyVector, note.Signer) {
	seed := bytes.Repeat([]byte{fill}, ed25519.SeedSize)
	skey, vkey, err := note.GenerateKey(bytes.NewReader(seed), name)
	fatal(err)
	signer, err := note.NewSigner(skey)
	fatal(err)
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	// RFC 8410: the DER of an Ed25519 private key is this prefix and the seed.
	pkcs8 := "302e020100300506032b657004220420" + hex.EncodeToString(seed)
	return keyVector{name, hex.EncodeToString(seed), hex.EncodeToString(public), skey, vkey, pkcs8}, signer
}

func sign(text string, signers ...note.Signer) string {
	message, err := note.Sign(&note.Note{Text: text}, signers...)
	fatal(err)
	return string(message)
}

type signedVector struct {
	Text string `json:"text"`
	Note string `json:"note"`
}

type checkpointVector struct {
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	Root   string `json:"root"`
	Note   string `json:"note"`
}

func noteVectors() []member {
	log, logSigner := key(origin, 0x2a)
	other, otherSigner := key(witness, 0x07)

	var signed, checkpoints []interface{}
	for _, text := range []string{
		"one line\n", "\n", "\n\n", "a line\n\nand a line behind an empty one\n", "snow ☃, music 𝄞, zero width\u200bspace\n",
		strings.Repeat("long ", 2000) + "\n",
	} {
		signed = append(signed, signedVector{text, sign(text, logSigner)})
	}
	t := newTree(70000)
	for _, size := range []int64{0, 1, 2, 7, 8, 70, 256, 1000, 65536, 70000} {
		root := t.root(size).String()
		text := fmt.Sprintf("%s\n%d\n%s\n", origin, size, root)
		checkpoints = append(checkpoints, checkpointVector{origin, size, root, sign(text, logSigner)})
	}
	return []member{
		{name: "source", value: "golang.org/x/mod v0.7.0, sumdb/note"},
		{name: "keys", list: []interface{}{log, other}},
		{name: "published", list: []interface{}{
			published("C2SP signed-note's example", specNote, specKey),
			published("the example of Go's package documentation", goNote, goKey),
		}},
		{name: "signed", list: signed},
		{name: "checkpoints", list: checkpoints},
		{name: "open", list: openVectors(log.Vkey, other.Vkey, logSigner, otherSigner)},
		{name: "bad_vkeys", list: badKeys(log.Vkey)},
	}
}
