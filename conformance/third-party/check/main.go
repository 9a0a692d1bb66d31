// Command check reads a gatebook log folder with nothing of gatebook: golang.org/x/mod opens its
// checkpoints, rebuilds its tree from the lines, reads its tiles, and proves and checks inclusion and
// consistency. It prints a report as JSON. Exit codes: 0 all agrees, 1 a disagreement, 2 usage.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// A report counts what was compared, so that a reader sees that a step had something to compare.
type report struct {
	OK            bool     `json:"ok"`
	Origin        string   `json:"origin"`
	Size          int64    `json:"size"`
	Root          string   `json:"root"`
	Records       int64    `json:"records"`
	Segments      int      `json:"segments"`
	Tiles         int      `json:"tiles"`
	Hashes        int64    `json:"hashes"`
	Inclusion     int      `json:"inclusion"`
	Consistency   int      `json:"consistency"`
	Checkpoints   int      `json:"checkpoints"`
	Proofs        int      `json:"proofs"`
	Cosigned      int      `json:"cosigned"`
	Entries       int64    `json:"entries"`
	Disagreements []string `json:"disagreements"`
}

func (r *report) disagree(format string, values ...interface{}) {
	r.Disagreements = append(r.Disagreements, fmt.Sprintf(format, values...))
}

type files []string

func (f *files) String() string { return strings.Join(*f, ",") }

func (f *files) Set(value string) error {
	*f = append(*f, value)
	return nil
}

type numbers []int64

func (n *numbers) String() string { return fmt.Sprint([]int64(*n)) }

func (n *numbers) Set(value string) error {
	for _, text := range strings.Split(value, ",") {
		number, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return err
		}
		*n = append(*n, number)
	}
	return nil
}

func main() {
	var older, proofs files
	var indexes, sizes numbers
	dir := flag.String("log", "", "the log `folder`")
	keyFile := flag.String("key", "", "the public key `file`, a signed-note verifier key")
	witness := flag.String("witness", "", "the public key `file` of a witness that cosigned")
	url := flag.String("url", "", "read the newest checkpoint, tiles and entries from this `URL` instead of the folder")
	flag.Var(&older, "older", "an older checkpoint `file` of the log; repeatable")
	flag.Var(&proofs, "proof", "a tlog-proof `file`; repeatable")
	flag.Var(&indexes, "index", "`indexes` whose inclusion is proved, comma separated (default: all, or 1,000 spread evenly)")
	flag.Var(&sizes, "from", "older `sizes` from which consistency is proved, comma separated (default: as for -index)")
	flag.Parse()
	if *dir == "" || *keyFile == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	r := &report{Disagreements: []string{}}
	if err := check(r, place{*dir, *url, *witness}, *keyFile, indexes, sizes, older, proofs); err != nil {
		r.disagree("%v", err)
	}
	r.OK = len(r.Disagreements) == 0
	out, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		panic(err)
	}
	fmt.Println(string(out))
	if !r.OK {
		os.Exit(1)
	}
}

// A place is where a log is read: its folder, and where the log is served the URL.
type place struct{ dir, url, witness string }

// check returns an error only for what makes the rest pointless; all else it adds to the report.
func check(r *report, at place, keyFile string, indexes, sizes numbers, older, proofs files) error {
	keys, err := readKey(keyFile)
	if err != nil {
		return err
	}
	// The checkpoint is read before the lines, so that a log that is being written has all it signs.
	dir := at.dir
	newest, err := keys.readNewest(at)
	if err != nil {
		return err
	}
	r.Origin, r.Size, r.Root = newest.origin, newest.tree.N, newest.tree.Hash.String()
	lines, err := readLines(r, dir)
	if err != nil {
		return err
	}
	if !agrees(r, lines, "checkpoint", newest) {
		return nil
	}
	if newest.tree.N > 0 {
		compareTiles(r, at, lines, newest.tree)
		proveRecords(r, at, lines, newest.tree, spread(indexes, 0, newest.tree.N-1))
		proveTrees(r, at, lines, newest.tree, spread(sizes, 1, newest.tree.N))
	}
	if at.url != "" {
		compareEntries(r, at, lines, newest.tree)
	}
	if at.witness != "" {
		compareCosigned(r, dir, at.witness, keys, lines, newest)
	}
	compareCheckpoints(r, dir, keys, lines, newest, older)
	for _, file := range proofs {
		compareProof(r, keys, lines, file)
	}
	return nil
}

// spread gives the numbers asked for, or all from first to last, or 1,000 of them when they are more.
func spread(asked numbers, first, last int64) numbers {
	if asked != nil {
		return asked
	}
	const most = 1000
	var all numbers
	count := last - first + 1
	for i := int64(0); i < count && i < most; i++ {
		if count <= most {
			all = append(all, first+i)
		} else {
			all = append(all, first+i*(count-1)/(most-1))
		}
	}
	return all
}
