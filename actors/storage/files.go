package storage

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/dataset"
)

// Bounds of giving a file's bytes out.
const (
	sendPiece = 1 << 20
	sendIdle  = time.Minute // a piece may take
)

func (s *Server) list(_ http.ResponseWriter, r *http.Request) (any, error) {
	list, err := s.c.Datasets().List(r.Context())
	if err != nil {
		return nil, told("list", "datasets", err)
	}
	out := make([]api.Dataset, len(list))
	for i, d := range list {
		out[i] = api.Dataset{Name: d.Name, Version: d.Version}
	}
	return out, nil
}

func (s *Server) drop(_ http.ResponseWriter, r *http.Request) (any, error) {
	name := r.PathValue("name")
	err := s.mayWrite(name)
	if err == nil {
		err = told("drop", name, s.c.Datasets().Drop(r.Context(), name, s.writer(r)))
	}
	s.note(r, "drop", name, err)
	if err != nil {
		return nil, err
	}
	return struct{}{}, nil
}

// look tells of one version of a dataset; where its copies were when it was published, or,
// if a request has "now", where they are.
func (s *Server) look(_ http.ResponseWriter, r *http.Request) (any, error) {
	state, m, err := s.version(r)
	if err != nil {
		return nil, err
	}
	out := &api.DatasetInfo{Name: r.PathValue("name"), Version: m.Version, Owner: state.Owner, Made: m.Made, Job: m.Job, Files: make([]api.DatasetFile, len(m.Files)), Writers: len(state.Leases)}
	if v, ok := state.Current(); ok {
		out.Newest = v.Number
	}
	for _, c := range m.Columns {
		out.Columns = append(out.Columns, api.DatasetColumn(c))
	}
	for i, f := range m.Files {
		out.Files[i] = api.DatasetFile{Path: f.Path, Size: f.Size, Rows: f.Rows, Sum: f.Sum, Upload: f.Upload.String(), Holders: texts(f.Holders)}
	}
	if r.URL.Query().Has("now") {
		if err := s.holdersNow(r.Context(), m, out); err != nil {
			return nil, told("read", out.Name, err)
		}
	}
	for _, v := range state.Versions {
		out.Versions = append(out.Versions, api.DatasetVersion{Number: v.Number, Superseded: v.Superseded})
	}
	return out, nil
}

// holdersNow asks all nodes which files they have.
func (s *Server) holdersNow(ctx context.Context, m *dataset.Manifest, out *api.DatasetInfo) error {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	survey, err := s.c.Copies.Survey(ctx)
	if err != nil {
		return err
	}
	out.Silent = texts(survey.Silent())
	for i, f := range m.Files {
		has, want, err := survey.Holders(fs.UploadID(f.Upload))
		if err != nil {
			return err
		}
		out.Files[i].Holders, out.Files[i].Want = texts(has), want
	}
	return nil
}

// version is the one that a request names.
func (s *Server) version(r *http.Request) (state dataset.State, m *dataset.Manifest, err error) {
	n, err := count(r, "version")
	if err != nil {
		return state, nil, err
	}
	ref := dataset.Ref{Name: r.PathValue("name"), Version: uint64(n), Path: r.URL.Query().Get("path")}
	if err := s.mayRead(ref); err != nil {
		return state, nil, err
	}
	state, m, err = s.c.Datasets().Look(r.Context(), ref.Name, ref.Version)
	return state, m, told("read", ref.String(), err)
}

// read gives out a file's bytes, which were checked.
func (s *Server) read(w http.ResponseWriter, r *http.Request) (any, error) {
	path := r.URL.Query().Get("path")
	at, err := count(r, "at")
	if err != nil {
		return nil, err
	}
	_, m, err := s.version(r)
	if err != nil {
		return nil, err
	}
	ref := dataset.Ref{Name: r.PathValue("name"), Version: m.Version, Path: path}
	f := m.File(path)
	switch {
	case f == nil:
		return nil, told("read", ref.String(), dataset.ErrNotFound)
	case at > f.Size:
		return nil, &plan.Error{Kind: plan.KindUser, Op: "read", Subject: ref.String(), Text: "it ends before byte " + strconv.FormatInt(at, 10)}
	}
	in, err := s.c.Datasets().OpenFile(r.Context(), f, at)
	if err != nil {
		return nil, told("read", ref.String(), err)
	}
	defer in.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(f.Size-at, 10))
	if err := send(w, in); err != nil {
		s.c.Log.Warn("a file of a dataset was not sent to its end", "file", ref.String(), "err", err)
		panic(http.ErrAbortHandler) // half an answer is none
	}
	return nil, nil
}

func send(w http.ResponseWriter, in io.Reader) error {
	conn := http.NewResponseController(w)
	defer func() { _ = conn.SetWriteDeadline(time.Time{}) }()
	for {
		_ = conn.SetWriteDeadline(time.Now().Add(sendIdle))
		if _, err := io.CopyN(w, in, sendPiece); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// sent tells another node what this one holds of a put.
func (s *Server) sent(_ http.ResponseWriter, r *http.Request) (any, error) {
	list, err := s.heldHere(r.PathValue("name"), r.URL.Query().Get("lease"))
	if err != nil {
		return nil, told("put", r.PathValue("name"), err)
	}
	out := make([]api.HeldFile, len(list))
	for i, f := range list {
		out[i] = api.HeldFile{PutFile: api.PutFile{Path: f.Path, Sum: f.Sum, Size: f.Size}, Upload: fs.UploadID(f.Upload).String()}
	}
	return out, nil
}
