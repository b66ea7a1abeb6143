package storage

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/datasets"
	"github.com/pondmesh/pond/actors/edge"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/mesh/delay"
)

// Bounds of puts.
const (
	sessionsMax = 1024 // puts that a node remembers
	renewals    = 4    // of a lease, in the time that it is kept without
)

// sessions are the leases of puts that go through this node, so that not each piece asks
// the dataset's register. They may be forgotten at any time.
type sessions struct {
	mu   sync.Mutex
	last map[string]session
}

type session struct {
	lease string
	by    dataset.Writer
	seen  time.Time // when the register had it
}

// putIDMax bounds the id of a put.
const putIDMax = 64

// put is the put that a request is of. Its id stands beside those of jobs that write the
// dataset, which everybody may see: it has another form, so that nobody ends the writing of
// such a job, or publishes in its name.
func (s *Server) put(r *http.Request) (name, id string, err error) {
	name, id = r.PathValue("name"), r.PathValue("id")
	letter := func(c rune) bool { return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' }
	switch {
	case id == "" || len(id) > putIDMax || strings.ContainsFunc(id, func(c rune) bool { return !letter(c) }):
		err = &plan.Error{Kind: plan.KindUser, Op: "put", Subject: name, Text: fmt.Sprintf("%.80q is no id of a put: it has at most %d letters and digits", id, putIDMax)}
	case plan.JobID(id).Check() == nil:
		err = &plan.Error{Kind: plan.KindUser, Op: "put", Subject: name, Text: fmt.Sprintf("%q may be the id of a job", id), Hint: "draw another"}
	default:
		if err = dataset.CheckName(name); err == nil {
			err = s.mayWrite(name)
		}
	}
	return name, id, told("put", name, err)
}

// find is the lease of a put, renewed when that is due.
func (s *Server) find(r *http.Request) (lease string, err error) {
	name, id, err := s.put(r)
	if err != nil {
		return "", err
	}
	by := s.writer(r)
	s.sessions.mu.Lock()
	known, ok := s.sessions.last[name+"/"+id]
	s.sessions.mu.Unlock()
	if ok && known.by == by && time.Since(known.seen) < collect.Kept().Lease/renewals {
		return known.lease, nil
	}
	if lease, err = s.c.Datasets().Lease(r.Context(), name, id); err == nil {
		err = s.c.Datasets().Renew(r.Context(), name, lease)
	}
	if err != nil {
		s.forget(name, id)
		return "", err
	}
	s.remember(name, id, session{lease, by, time.Now()})
	return lease, nil
}

func (s *Server) remember(name, id string, one session) {
	s.sessions.mu.Lock()
	defer s.sessions.mu.Unlock()
	if len(s.sessions.last) >= sessionsMax || s.sessions.last == nil {
		s.sessions.last = map[string]session{}
	}
	s.sessions.last[name+"/"+id] = one
}

func (s *Server) forget(name, id string) {
	s.sessions.mu.Lock()
	defer s.sessions.mu.Unlock()
	delete(s.sessions.last, name+"/"+id)
}

// begin begins a put, or goes on with one, and tells what is there.
func (s *Server) begin(_ http.ResponseWriter, r *http.Request) (any, error) {
	req := new(api.PutFiles)
	if err := edge.Decode(r, req); err != nil {
		return nil, err
	}
	name, id, err := s.put(r)
	if err != nil {
		return nil, err
	}
	if err := s.partials.sweep(); err != nil {
		s.c.Log.Warn("what is left of files that were put", "err", err)
	}
	lease, err := s.c.Datasets().Begin(r.Context(), name, id, s.writer(r), modeOf(req))
	if done, ok := errors.AsType[*dataset.PublishedError](err); ok {
		return &api.PutFiles{Version: done.Version}, nil
	}
	if err != nil {
		err = told("put", name, err)
		s.note(r, "put", name, err)
		return nil, err
	}
	s.remember(name, id, session{lease, s.writer(r), time.Now()})
	held, err := s.held(r.Context(), name, lease)
	if err != nil {
		return nil, told("put", name, err)
	}
	out := new(api.PutFiles)
	for _, f := range held {
		out.Files = append(out.Files, api.PutFile{Path: f.Path, Sum: f.Sum, Size: f.Size})
	}
	return out, nil
}

func modeOf(req *api.PutFiles) dataset.Mode { return cmp.Or(dataset.Mode(req.Mode), dataset.ModeError) }

// giveUp ends a put.
func (s *Server) giveUp(_ http.ResponseWriter, r *http.Request) (any, error) {
	name, id, err := s.put(r)
	if err != nil {
		return nil, err
	}
	s.forget(name, id)
	lease, err := s.c.Datasets().Lease(r.Context(), name, id)
	if err == nil {
		err = s.c.Datasets().Release(r.Context(), name, lease)
	}
	if errors.Is(err, collect.ErrCondemned) {
		err = nil // it has ended
	}
	err = told("put", name, err)
	s.note(r, "give up a put", name, err)
	return struct{}{}, err
}

// piece takes a piece of a file.
func (s *Server) piece(_ http.ResponseWriter, r *http.Request) (any, error) {
	f, at, err := s.ordered(r)
	if err != nil {
		return nil, err
	}
	one, err := s.partials.take(r.Context(), f.Lease+"/"+f.Path+"/"+f.Sum)
	if errors.Is(err, errTooMany) {
		err = &plan.Error{Kind: plan.KindBusy, Op: "put", Subject: f.Path, Text: err.Error(), Hint: "try again, or ask another node: what is left goes after an hour"}
	}
	if err != nil {
		return nil, err
	}
	defer s.partials.release(one)
	out, err := s.grow(r, one, f, at)
	if errors.Is(err, errChanged) {
		err = &plan.Error{Kind: plan.KindUser, Op: "put", Subject: f.Path, Text: err.Error(), Hint: "put it again when nobody writes it"}
	}
	return out, told("put", f.Dataset, err)
}

// ordered is the file of which a piece comes.
func (s *Server) ordered(r *http.Request) (f datasets.Sent, at int64, err error) {
	q := r.URL.Query()
	f = datasets.Sent{Origin: collect.Origin{Dataset: r.PathValue("name")}, Path: q.Get("path"), Sum: q.Get("sum")}
	at, err1 := count(r, "at")
	f.Size, err = count(r, "size")
	if err = errors.Join(err1, err, dataset.CheckFile(f.Path)); err != nil {
		return f, 0, told("put", f.Dataset, err)
	}
	if b, err := hex.DecodeString(f.Sum); err != nil || len(b) != 32 || f.Size > fs.SizeMax || at > f.Size {
		return f, 0, &plan.Error{Kind: plan.KindUser, Op: "put", Subject: f.Path, Text: fmt.Sprintf("sum=%.80q, size=%d, at=%d is no file of at most %d bytes", f.Sum, f.Size, at, int64(fs.SizeMax))}
	}
	f.Lease, err = s.find(r)
	return f, at, told("put", f.Dataset, err)
}

// grow appends a piece; of a file that is whole it makes an upload.
func (s *Server) grow(r *http.Request, one *partial, f datasets.Sent, at int64) (*api.PutProgress, error) {
	have, err := one.have()
	if err != nil {
		return nil, err
	}
	if have < 0 && at > 0 { // a reply was lost, or another node has the beginning
		held, err := s.held(r.Context(), f.Dataset, f.Lease)
		if err != nil {
			return nil, err
		}
		done := slices.ContainsFunc(held, func(h datasets.Sent) bool { return h.Path == f.Path && h.Sum == f.Sum })
		return &api.PutProgress{Done: done}, nil
	}
	if have = max(have, 0); at > have {
		return &api.PutProgress{Have: have}, nil
	}
	if err := s.c.Room(); err != nil {
		return nil, err
	}
	if have, err = one.add(r.Body, r.ContentLength, at, have); err != nil {
		return nil, err
	}
	if have < f.Size {
		return &api.PutProgress{Have: have}, nil
	}
	if err := one.check(f.Sum); err != nil {
		return nil, err
	}
	if _, err := s.c.Datasets().PutSent(r.Context(), f, one.path); err != nil {
		return nil, err
	}
	return &api.PutProgress{Have: have, Done: true}, nil
}

// publish makes what was put a version.
func (s *Server) publish(_ http.ResponseWriter, r *http.Request) (any, error) {
	req, name := new(api.PutFiles), r.PathValue("name")
	if err := edge.Decode(r, req); err != nil {
		return nil, err
	}
	out, err := s.publication(r, req)
	err = told("put", name, err)
	if err != nil || len(out.Files) == 0 {
		s.note(r, "put", name, err, slog.Int("files", len(req.Files)))
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// keep renews a lease until it is told to end: the footers of many files take their time.
func (s *Server) keep(ctx context.Context, name, lease string) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var over sync.WaitGroup
	over.Go(func() {
		for delay.For(ctx, collect.Kept().Lease/renewals) == nil {
			if err := s.c.Datasets().Renew(ctx, name, lease); err != nil && ctx.Err() == nil {
				s.c.Log.Warn("the lease of a put is not renewed", "dataset", name, "err", err)
			}
		}
	})
	return func() {
		cancel()
		over.Wait()
	}
}

func (s *Server) publication(r *http.Request, req *api.PutFiles) (*api.PutFiles, error) {
	name, id, err := s.put(r)
	if err != nil {
		return nil, err
	}
	p := datasets.Publication{Name: name, Job: id, By: s.writer(r), Mode: modeOf(req)}
	if len(req.Files) == 0 {
		return nil, &plan.Error{Kind: plan.KindUser, Op: "put", Subject: name, Text: "there are no files to be put"}
	}
	p.Lease, err = s.c.Datasets().Lease(r.Context(), name, id)
	if done, ok := errors.AsType[*dataset.PublishedError](err); ok {
		return &api.PutFiles{Version: done.Version}, nil
	}
	if err != nil {
		return nil, err
	}
	defer s.keep(r.Context(), name, p.Lease)()
	held, err := s.held(r.Context(), name, p.Lease)
	if err != nil {
		return nil, err
	}
	chosen, missing := choose(held, req.Files)
	if len(missing) > 0 {
		return &api.PutFiles{Files: missing}, nil
	}
	if p.Columns, p.Files, err = s.shape(r.Context(), chosen); err != nil {
		return nil, err
	}
	if p.Columns, err = s.fitting(r.Context(), &p); err != nil {
		return nil, err
	}
	version, err := s.c.Datasets().Publish(r.Context(), p)
	if err != nil {
		return nil, err
	}
	s.forget(name, id)
	return &api.PutFiles{Version: version}, nil
}

// choose finds the uploads of files, and those that there are none of.
func choose(held []datasets.Sent, files []api.PutFile) (chosen []datasets.Sent, missing []api.PutFile) {
	byPath := map[string]datasets.Sent{}
	key := func(path, sum string) string { return path + "\x00" + sum }
	for _, h := range held {
		if old, ok := byPath[key(h.Path, h.Sum)]; !ok || len(h.Holders) > len(old.Holders) {
			byPath[key(h.Path, h.Sum)] = h
		}
	}
	for _, f := range files {
		if h, ok := byPath[key(f.Path, f.Sum)]; ok {
			chosen = append(chosen, h)
		} else {
			missing = append(missing, f)
		}
	}
	return chosen, missing
}

// fitting are the columns of a publication: those of files that join others which are no
// table are of no use.
func (s *Server) fitting(ctx context.Context, p *datasets.Publication) ([]dataset.Column, error) {
	if p.Mode == dataset.ModeError || p.Mode == dataset.ModeOverwrite {
		return p.Columns, nil
	}
	_, base, err := s.c.Datasets().Look(ctx, p.Name, 0)
	switch {
	case errors.Is(err, dataset.ErrNotFound):
		return p.Columns, nil
	case err != nil:
		return nil, err
	case len(base.Columns) == 0:
		return nil, nil
	case len(p.Columns) == 0:
		return nil, fmt.Errorf("%w: the dataset is a table, and not all files that are put are Parquet of the same columns", dataset.ErrColumns)
	}
	return p.Columns, nil
}

// shape is what the files are together: a table, if all are Parquet and have the same
// columns, those of key=value folders included; else files, of no columns.
func (s *Server) shape(ctx context.Context, sent []datasets.Sent) (columns []dataset.Column, files []dataset.File, err error) {
	for _, f := range sent {
		out := dataset.File{Path: f.Path, Upload: f.Upload, Size: f.Size, Rows: -1, Sum: f.Sum}
		for _, n := range f.Holders {
			out.Holders = append(out.Holders, replicaNode(n))
		}
		files = append(files, out)
	}
	if slices.ContainsFunc(sent, func(f datasets.Sent) bool { return !isParquet(f.Path) }) {
		return nil, files, nil
	}
	for from := 0; from < len(sent); {
		list, err := s.footers(ctx, together(sent[from:]))
		if err != nil {
			return nil, nil, err
		}
		for i, f := range list {
			files[from+i].Rows = f.rows
			if from+i == 0 {
				columns = f.columns
			}
			if columns != nil && dataset.SameColumns(columns, f.columns) != nil {
				columns = nil
			}
		}
		from += len(list)
	}
	if columns == nil {
		return nil, files, nil
	}
	columns, ok := withFolders(columns, files)
	if !ok {
		return nil, files, nil
	}
	return columns, files, nil
}

func isParquet(name string) bool { return strings.EqualFold(path.Ext(name), ".parquet") }

// footer is what a Parquet file says of itself.
type footer struct {
	columns []dataset.Column
	rows    int64
}

// Footers of so many files, of so many bytes, are read together: an engine is made for
// them, which takes longer than to read them, and a node that lacks the files fetches them.
const (
	footersAtOnce = 64
	footersBytes  = 1 << 30
)

// together are the first of some files, at least one, whose footers are read at once.
func together(sent []datasets.Sent) []datasets.Sent {
	n, bytes := 1, sent[0].Size
	for n < min(len(sent), footersAtOnce) && bytes+sent[n].Size <= footersBytes {
		bytes += sent[n].Size
		n++
	}
	return sent[:n]
}

// footers are those of some files.
func (s *Server) footers(ctx context.Context, sent []datasets.Sent) ([]footer, error) {
	paths := make([]string, len(sent))
	for i := range sent {
		local, release, err := s.c.Copies.Local(ctx, fs.UploadID(sent[i].Upload), sent[i].Holders)
		if errors.Is(err, fs.ErrInvalid) { // it has no bytes
			err = notParquet(sent[i].Path)
		}
		if err != nil {
			return nil, err
		}
		defer release()
		paths[i] = local
	}
	out := make([]footer, len(sent))
	err := s.c.Footers.Footers(ctx, paths, paths, func(from int, list []duck.Footer) error {
		for i, f := range list {
			out[from+i] = footerOf(&f)
		}
		return nil
	})
	switch {
	case err == nil:
		return out, nil
	case len(sent) > 1 && ctx.Err() == nil: // one is damaged, or they are too much at once
		return s.oneByOne(ctx, sent)
	case errors.Is(err, plan.ErrQuery):
		err = notParquet(sent[0].Path)
	}
	return nil, err
}

// oneByOne are the footers of files of which they could not be read at once. The first that
// cannot be read is named.
func (s *Server) oneByOne(ctx context.Context, sent []datasets.Sent) (out []footer, err error) {
	for i := range sent {
		f, err := s.footers(ctx, sent[i:i+1])
		if err != nil {
			return nil, err
		}
		out = append(out, f...)
	}
	return out, nil
}

func footerOf(f *duck.Footer) footer {
	out := footer{rows: f.Rows}
	for _, c := range f.Columns {
		out.columns = append(out.columns, dataset.Column{Name: c.Name, Type: c.Type})
	}
	return out
}

// notParquet names the file as its sender does.
func notParquet(name string) error {
	return &plan.Error{Kind: plan.KindUser, Op: "put", Subject: name, Text: "it is no whole Parquet file", Hint: "give it another name if it is none, or write it again"}
}

// remove publishes a version without some files.
func (s *Server) remove(_ http.ResponseWriter, r *http.Request) (any, error) {
	req := new(api.PutFiles)
	if err := edge.Decode(r, req); err != nil {
		return nil, err
	}
	name, id, err := s.put(r)
	if err != nil {
		return nil, err
	}
	version, err := s.without(r.Context(), name, id, s.writer(r), req.Files)
	err = told("remove", name, err)
	s.note(r, "remove", name, err, slog.Int("files", len(req.Files)))
	if err != nil {
		return nil, err
	}
	return &api.PutFiles{Version: version}, nil
}

func (s *Server) without(ctx context.Context, name, id string, by dataset.Writer, files []api.PutFile) (uint64, error) {
	if len(files) == 0 {
		return 0, &plan.Error{Kind: plan.KindUser, Op: "remove", Subject: name, Text: "no files are named"}
	}
	p := datasets.Publication{Name: name, Job: id, By: by}
	for _, f := range files {
		p.Without = append(p.Without, f.Path)
	}
	if _, _, err := s.c.Datasets().Look(ctx, name, 0); err != nil {
		return 0, err
	}
	lease, err := s.c.Datasets().Begin(ctx, name, id, by, dataset.ModeUpdate)
	if done, ok := errors.AsType[*dataset.PublishedError](err); ok {
		return done.Version, nil
	}
	if err != nil {
		return 0, err
	}
	p.Lease = lease
	version, err := s.c.Datasets().Publish(ctx, p)
	if err != nil {
		return 0, errors.Join(err, s.c.Datasets().Release(context.WithoutCancel(ctx), name, lease))
	}
	return version, nil
}
