package main

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

type openVector struct {
	Case   string   `json:"case"`
	Vkeys  []string `json:"vkeys"`
	Note   string   `json:"note"`
	Opens  bool     `json:"opens"`
	Error  string   `json:"error,omitempty"`
	Signed []string `json:"signed_by,omitempty"`
}

type badKeyVector struct {
	Case  string `json:"case"`
	Vkey  string `json:"vkey"`
	Error string `json:"error"`
}

// published is open for an example that must open, or the generator itself is wrong.
func published(name, message, vkey string) openVector {
	vector := open(name, message, vkey)
	if !vector.Opens {
		fatal(fmt.Errorf("vectors: %s: %s", name, vector.Error))
	}
	return vector
}

func open(name, message string, vkeys ...string) openVector {
	var verifiers []note.Verifier
	for _, vkey := range vkeys {
		verifier, err := note.NewVerifier(vkey)
		fatal(err)
		verifiers = append(verifiers, verifier)
	}
	vector := openVector{Case: name, Vkeys: vkeys, Note: message}
	opened, err := note.Open([]byte(message), note.VerifierList(verifiers...))
	if err != nil {
		vector.Error = err.Error()
		return vector
	}
	vector.Opens = true
	for _, signature := range opened.Sigs {
		vector.Signed = append(vector.Signed, fmt.Sprintf("%s+%08x", signature.Name, signature.Hash))
	}
	return vector
}

// openVectors are notes of which some open and some do not, each with what Go says of it.
func openVectors(vkey, witnessVkey string, signer, witnessSigner note.Signer) []interface{} {
	text := origin + "\n70\n" + newTree(70).root(70).String() + "\n"
	good := sign(text, signer)
	both := sign(text, signer, witnessSigner)
	line := good[len(text)+1:]
	encoded := strings.TrimSuffix(line[strings.LastIndex(line, " ")+1:], "\n")
	var vectors []interface{}
	add := func(name, message string, vkeys ...string) {
		vectors = append(vectors, open(name, message, vkeys...))
	}
	add("signed by the known key", good, vkey)
	add("signed by two known keys", both, vkey, witnessVkey)
	add("a second signature by an unknown key", both, vkey)
	add("only the second key is known", both, witnessVkey)
	add("no key is known", good, witnessVkey)
	add("a byte of the text is changed", strings.Replace(good, "\n70\n", "\n71\n", 1), vkey)
	add("a byte of the signature is changed", text+"\n"+withSignature(encoded, 67), vkey)
	add("a byte of the key hash is changed", text+"\n"+withSignature(encoded, 0), vkey)
	add("the signature is one byte short", text+"\n— "+origin+" "+cut(encoded)+"\n", vkey)
	add("the signature of one key under the hash of the other", text+"\n"+crossed(encoded, both), vkey)
	add("the name is changed", text+"\n— "+"other"+line[len("— "):], vkey)
	add("no signature line", text+"\n", vkey)
	add("no empty line", text+line, vkey)
	add("no newline at the end", strings.TrimSuffix(good, "\n"), vkey)
	add("a hyphen for the em dash", text+"\n-"+strings.TrimPrefix(line, "—"), vkey)
	add("two spaces behind the em dash", strings.Replace(good, "— ", "—  ", 1), vkey)
	add("a space behind the signature", strings.TrimSuffix(good, "\n")+" \n", vkey)
	add("base64 without its padding", strings.TrimSuffix(padded(good), "=\n")+"\n", vkey)
	add("a carriage return", strings.Replace(good, "\n", "\r\n", 1), vkey)
	add("a tab in the text", strings.Replace(good, "\n70\n", "\n\t70\n", 1), vkey)
	add("an empty line between signatures", strings.Replace(both, line, line+"\n", 1), vkey)
	add("the text behind the signatures", line+"\n"+text, vkey)
	add("an empty message", "", vkey)
	return vectors
}

// padded stops the generator where the case without padding would lose its meaning.
func padded(message string) string {
	if !strings.HasSuffix(message, "=\n") {
		fatal(fmt.Errorf("vectors: the signature's base64 has no padding to take away"))
	}
	return message
}

func decode(encoded string) []byte {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	fatal(err)
	return raw
}

// withSignature gives the log's signature line with one bit of the byte at position `at` turned over.
func withSignature(encoded string, at int) string {
	raw := decode(encoded)
	raw[at] ^= 1
	return "— " + origin + " " + base64.StdEncoding.EncodeToString(raw) + "\n"
}

func cut(encoded string) string {
	raw := decode(encoded)
	return base64.StdEncoding.EncodeToString(raw[:len(raw)-1])
}

func crossed(encoded, both string) string {
	last := strings.TrimSuffix(both[strings.LastIndex(both, " ")+1:], "\n")
	raw := append(decode(encoded)[:4:4], decode(last)[4:]...)
	return "— " + origin + " " + base64.StdEncoding.EncodeToString(raw) + "\n"
}

func badKeys(vkey string) []interface{} {
	parts := strings.SplitN(vkey, "+", 3)
	raw := decode(parts[2])
	var vectors []interface{}
	add := func(name, bad string) {
		_, err := note.NewVerifier(bad)
		if err == nil {
			fatal(fmt.Errorf("vectors: %q is accepted", bad))
		}
		vectors = append(vectors, badKeyVector{name, bad, err.Error()})
	}
	add("empty", "")
	add("no key", parts[0]+"+"+parts[1])
	add("no name", "+"+parts[1]+"+"+parts[2])
	add("a space in the name", strings.Replace(vkey, "/", " ", 1))
	add("another name", "x"+vkey)
	add("another hash", parts[0]+"+00000000+"+parts[2])
	add("a hash of seven digits", parts[0]+"+"+parts[1][1:]+"+"+parts[2])
	add("a key one byte short", withHash(parts[0], raw[:32]))
	add("another key", parts[0]+"+"+parts[1]+"+"+base64.StdEncoding.EncodeToString(append(raw[:32:32], raw[32]^1)))
	add("another algorithm", withHash(parts[0], append([]byte{2}, raw[1:]...)))
	add("not base64", parts[0]+"+"+parts[1]+"+"+parts[2][:10]+"*"+parts[2][11:])
	return vectors
}

// withHash gives a verifier key whose hash is right, so that nothing but the key itself is at fault.
func withHash(name string, raw []byte) string {
	sum := sha256.Sum256(append([]byte(name+"\n"), raw...))
	return fmt.Sprintf("%s+%x+%s", name, sum[:4], base64.StdEncoding.EncodeToString(raw))
}
