package carry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/mesh/each"
)

// Putting is what is put, where.
type Putting struct {
	Name  string // of the dataset
	ID    string // of this put: the same again goes on with it
	Mode  string // one of package dataset's
	Files []Local
	Tell  func(Progress) // nil: nobody hears
}

// Put puts files into a dataset as one version, and tells its number. Of a put that broke
// off it sends what is not there yet; one that was published tells its version again.
func Put(ctx context.Context, pond Pond, p Putting) (version uint64, err error) {
	for range roundsMax {
		if version, err = p.round(ctx, pond); plan.KindOf(err) != plan.KindFenced {
			break // else its lease has ended, for it was idle: what was sent is gone
		}
	}
	return version, err
}

func (p *Putting) round(ctx context.Context, pond Pond) (uint64, error) {
	there, err := pond.BeginPut(ctx, p.Name, p.ID, p.Mode)
	if err != nil || there.Version > 0 {
		return versionOf(there), err
	}
	m := &meter{tell: p.Tell, p: Progress{Files: len(p.Files)}}
	for _, f := range p.Files {
		m.p.Bytes += f.Size
	}
	have := map[api.PutFile]bool{}
	for _, f := range there.Files {
		have[f] = true
	}
	put := &api.PutFiles{Mode: p.Mode, Files: make([]api.PutFile, len(p.Files))}
	for range roundsMax {
		err := each.Do(ctx, filesAtOnce, len(p.Files), func(ctx context.Context, i int) (err error) {
			put.Files[i], err = p.send(ctx, pond, p.Files[i], put.Files[i], have, m)
			return err
		})
		if err != nil {
			return 0, err
		}
		out, err := pond.EndPut(ctx, p.Name, p.ID, put)
		if err != nil || out.Version > 0 {
			return versionOf(out), err
		}
		have = map[api.PutFile]bool{}
		for _, f := range put.Files {
			have[f] = true
		}
		for _, f := range out.Files { // went with a node
			delete(have, f)
		}
	}
	return 0, &plan.Error{Kind: plan.KindUnavailable, Op: "put", Subject: p.Name, Text: fmt.Sprintf("files that had been sent were gone %d times before they could be published", roundsMax), Hint: "look at the nodes with: pondnode fs status"}
}

func versionOf(f *api.PutFiles) uint64 {
	if f == nil {
		return 0
	}
	return f.Version
}

// send sends a file, unless it is there.
func (p *Putting) send(ctx context.Context, pond Pond, local Local, before api.PutFile, have map[api.PutFile]bool, m *meter) (api.PutFile, error) {
	if before.Sum != "" && have[before] {
		return before, nil
	}
	in, err := os.Open(local.From)
	if err != nil {
		return before, unread(local.From, err)
	}
	defer in.Close()
	f, err := describe(ctx, in, local)
	if err != nil {
		return f, unread(local.From, err)
	}
	if have[f] {
		m.add(func(p *Progress) { p.Done++; p.Kept++; p.Have += f.Size })
		return f, nil
	}
	if err := p.pieces(ctx, pond, in, f, before.Sum == "", m); err != nil {
		return f, err
	}
	if before.Sum == "" {
		m.add(func(p *Progress) { p.Done++ })
	}
	return f, nil
}

// describe reads a file for its SHA-256.
func describe(ctx context.Context, in io.Reader, local Local) (api.PutFile, error) {
	h := sha256.New()
	n, err := io.Copy(h, reader{ctx, in})
	return api.PutFile{Path: local.Path, Sum: hex.EncodeToString(h.Sum(nil)), Size: n}, err
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	in  io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.in.Read(p)
}

// pieces sends a file from where the node that answers has it.
func (p *Putting) pieces(ctx context.Context, pond Pond, in io.ReaderAt, f api.PutFile, counts bool, m *meter) error {
	buf := make([]byte, min(f.Size, api.PieceMax))
	at, told := int64(0), int64(0)
	for stuck := 0; stuck < triesMax; {
		n, err := in.ReadAt(buf[:min(int64(len(buf)), f.Size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return unread(f.Path, err)
		}
		got, err := pond.PutPiece(ctx, p.Name, p.ID, f, at, buf[:n])
		if err != nil {
			return err
		}
		now := min(max(got.Have, 0), f.Size)
		if got.Done {
			now = f.Size
		}
		if counts {
			step := now - told
			m.add(func(p *Progress) { p.Have += step })
		}
		if told = now; got.Done {
			return nil
		}
		if now <= at { // it has less than was thought: another node, or none of it
			stuck++
		}
		at = now
	}
	return &plan.Error{Kind: plan.KindUnavailable, Op: "put", Subject: f.Path, Text: fmt.Sprintf("nodes lost what they had of it %d times", triesMax), Hint: "look at the nodes with: pondnode fs status; run the same command again to go on"}
}
