// Command vectors prints known answers computed by golang.org/x/mod: `vectors tlog` those of the
// Merkle tree (sumdb/tlog), `vectors note` those of signed notes (sumdb/note).
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fatal(fmt.Errorf("usage: vectors tlog|note"))
	}
	out := bufio.NewWriter(os.Stdout)
	switch os.Args[1] {
	case "tlog":
		fatal(writeDocument(out, treeVectors()))
	case "note":
		fatal(writeDocument(out, noteVectors()))
	default:
		fatal(fmt.Errorf("vectors: unknown kind %q", os.Args[1]))
	}
	fatal(out.Flush())
}

// A member is one top-level member of a document. Lists are written one element a line, so that a
// change of the file can be read in a diff.
type member struct {
	name  string
	value interface{}
	list  []interface{}
}

func writeDocument(out *bufio.Writer, members []member) error {
	out.WriteString("{\n")
	for i, m := range members {
		fmt.Fprintf(out, "  %s: ", encode(m.name))
		if m.list == nil {
			out.WriteString(encode(m.value))
		} else {
			writeList(out, m.list)
		}
		if i < len(members)-1 {
			out.WriteByte(',')
		}
		out.WriteByte('\n')
	}
	_, err := out.WriteString("}\n")
	return err
}

func writeList(out *bufio.Writer, list []interface{}) {
	out.WriteString("[\n")
	for i, value := range list {
		out.WriteString("    " + encode(value))
		if i < len(list)-1 {
			out.WriteByte(',')
		}
		out.WriteByte('\n')
	}
	out.WriteString("  ]")
}

func encode(value interface{}) string {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	fatal(encoder.Encode(value))
	return string(bytes.TrimRight(buffer.Bytes(), "\n"))
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
