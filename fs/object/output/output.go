// Package output makes the objects of one job visible at a place, once: all of them or,
// should nobody come to finish it, none.
//
//	attempts       Draft: files uploaded, not shown; a list of them, FOLDER/_pond/JOB/draft-…
//	coordinator    Publish: FOLDER/_pond/JOB/decided, made by whoever is first of the job's
//	               coordinators, says which; those are shown, one after the other; then
//	               FOLDER/_SUCCESS and FOLDER/_pond/JOB/done
//	in the end     Discard: what was not decided is dropped, and the job's lists are deleted
//
// A place has no step that shows several objects. Who reads while they are shown sees some;
// _SUCCESS names those of the output that was finished last. A coordinator that finds a
// decision goes on with it; whoever finds one of a job that nobody drives takes it back.
//
// It refuses to know which jobs live. Read Output next.
package output

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/pondmesh/pond/fs/object"
	"github.com/pondmesh/pond/mesh/each"
)

// Output is what a job writes at a place.
type Output struct {
	Place  object.Stager
	Target string // a folder, as s3://bucket/folder; with Single the name of an object
	Single bool   // it replaces what is there
	Append bool   // there may be other objects in the folder
	Job    string
}

// File is a file of an attempt, and its name below Target.
type File struct {
	Name, Path string
}

// GoneError says that what was uploaded is not there any more, and has to be made again.
type GoneError struct {
	Drafts []string // of which; none: of all
	Err    error
}

func (e *GoneError) Error() string { return e.Err.Error() }
func (e *GoneError) Unwrap() error { return e.Err }

// Names of what is kept in a folder while jobs publish there, and of the list of the last.
const (
	lists     = "_pond"
	decided   = "decided"
	done      = "done"
	draft     = "draft-"
	succeeded = "_SUCCESS"
)

const (
	listBytesMax = 64 << 20 // of a list of files
	atOnce       = 16       // requests of one publication
)

// list is the files of an attempt, or of an output.
type list struct {
	Single bool            `json:"single,omitempty"`
	Files  []object.Staged `json:"files,omitempty"`
	Job    string          `json:"job,omitempty"`   // of _SUCCESS
	Names  []string        `json:"names,omitempty"` // likewise
	// Withdrawn: it is decided that nothing is shown.
	Withdrawn bool `json:"withdrawn,omitempty"`
}

// Folder is where lists are kept: a folder that is written, or that of an object.
func (o Output) Folder() string {
	if o.Single {
		return o.Target[:strings.LastIndex(o.Target, "/")]
	}
	return o.Target
}

func (o Output) list(name string) string { return o.Folder() + "/" + lists + "/" + o.Job + "/" + name }

// Check is why nothing can be written; nil: it seems that it can.
func (o Output) Check(ctx context.Context) error {
	name := o.Target
	if !o.Single {
		name += "/x"
	}
	if err := object.CheckName("write", name); err != nil {
		return err
	}
	if object.Prefix(o.Target) != o.Target {
		return &object.Error{Op: "write", Name: o.Target, Kind: object.ErrName, Detail: "it is a pattern"}
	}
	if _, err := o.Jobs(ctx); err != nil || o.Single || o.Append { // a place that is not there says so
		return err
	}
	if _, err := o.Place.Find(ctx, o.list(decided)); err == nil || !errors.Is(err, object.ErrNotFound) {
		return err // what is there may be the job's
	}
	return o.free(ctx, nil)
}

// free is ErrExists if there are objects in the folder other than these.
func (o Output) free(ctx context.Context, mine []object.Staged) error {
	found, err := o.find(ctx, "**")
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, f := range mine {
		names[f.Name] = true
	}
	for _, f := range found {
		if base := path.Base(f.Name); !names[f.Name] && !strings.HasPrefix(base, "_") && !strings.Contains(f.Name, "/"+lists+"/") {
			return &object.Error{Op: "write", Name: o.Target, Kind: object.ErrExists, Detail: "there is " + f.Name}
		}
	}
	return nil
}

// alone is ErrExists if another job publishes in the folder. Of two that begin at once
// neither may go on.
func (o Output) alone(ctx context.Context) error {
	found, err := o.find(ctx, lists+"/*/"+decided)
	for _, f := range found {
		if f.Name != o.list(decided) {
			return &object.Error{Op: "write", Name: o.Target, Kind: object.ErrExists, Detail: "another job publishes there"}
		}
	}
	return err
}

// find is what a pattern means in the folder: perhaps nothing.
func (o Output) find(ctx context.Context, pattern string) ([]object.Object, error) {
	found, err := o.Place.Find(ctx, o.Folder()+"/"+pattern)
	if absent(err) {
		return nil, nil
	}
	return found, err
}

// absent reports whether err says that an object is not there, though its place is.
func absent(err error) bool {
	return errors.Is(err, object.ErrNotFound) && !errors.Is(err, object.ErrNoPlace)
}

// Draft uploads an attempt's files and returns the name of their list, among the job's.
func (o Output) Draft(ctx context.Context, attempt string, files []File) (name string, err error) {
	l := list{Single: o.Single}
	for _, f := range files {
		s, err := o.stage(ctx, f)
		if err != nil {
			o.drop(ctx, l.Files)
			return "", err
		}
		l.Files = append(l.Files, s)
	}
	name = draft + attempt + "-" + rand.Text()
	if err := o.put(ctx, o.list(name), l, object.If{Absent: true}); err != nil {
		o.drop(ctx, l.Files)
		return "", err
	}
	return name, nil
}

// stage uploads a file.
func (o Output) stage(ctx context.Context, f File) (object.Staged, error) {
	in, err := os.Open(f.Path)
	if err != nil {
		return object.Staged{}, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return object.Staged{}, err
	}
	name := o.Target
	if !o.Single {
		name += "/" + f.Name
	}
	return o.Place.Stage(ctx, name, in, info.Size())
}

// drop drops what is of no use. What cannot be dropped is for Discard.
func (o Output) drop(ctx context.Context, files []object.Staged) {
	_ = each.Do(context.WithoutCancel(ctx), atOnce, len(files), func(ctx context.Context, i int) error { return o.Place.Unstage(ctx, files[i]) })
}

// Publish shows the files of drafts. It may be repeated, with other drafts too: what was
// decided first is shown.
func (o Output) Publish(ctx context.Context, drafts []string) error {
	l, err := o.read(ctx, o.list(decided))
	if errors.Is(err, object.ErrNotFound) {
		l, err = o.decide(ctx, drafts)
	}
	if err != nil {
		return err
	}
	return o.finish(ctx, l)
}

// decide decides for all coordinators of the job which files are shown.
func (o Output) decide(ctx context.Context, drafts []string) (*list, error) {
	parts := make([]*list, len(drafts))
	missing := make([]bool, len(drafts))
	if err := each.Do(ctx, atOnce, len(drafts), func(ctx context.Context, i int) (err error) {
		if parts[i], err = o.read(ctx, o.list(drafts[i])); errors.Is(err, object.ErrNotFound) {
			missing[i], err = true, nil
		}
		return err
	}); err != nil {
		return nil, err
	}
	gone := &GoneError{Err: fmt.Errorf("what was uploaded: %w", object.ErrNotFound)}
	all := &list{Single: o.Single}
	for i, p := range parts {
		if missing[i] {
			gone.Drafts = append(gone.Drafts, drafts[i])
			continue
		}
		all.Files = append(all.Files, p.Files...)
	}
	if len(gone.Drafts) > 0 {
		return nil, gone
	}
	err := o.put(ctx, o.list(decided), all, object.If{Absent: true})
	if errors.Is(err, object.ErrExists) { // by another coordinator of the job
		return o.read(ctx, o.list(decided))
	}
	return all, err
}

// ErrWithdrawn: it was decided that nothing is shown.
var ErrWithdrawn = errors.New("the output was withdrawn")

// finish shows what was decided.
func (o Output) finish(ctx context.Context, l *list) error {
	if l.Withdrawn {
		return fmt.Errorf("%s: %w", o.Target, ErrWithdrawn)
	}
	if _, err := o.Place.Find(ctx, o.list(done)); err == nil {
		return nil
	} else if !errors.Is(err, object.ErrNotFound) {
		return err
	}
	if !o.Single && !o.Append {
		if err := errors.Join(o.alone(ctx), o.free(ctx, l.Files)); err != nil {
			if errors.Is(err, object.ErrExists) {
				err = errors.Join(err, o.takeBack(ctx, l))
			}
			return err
		}
	}
	err := each.Do(ctx, atOnce, len(l.Files), func(ctx context.Context, i int) error {
		_, err := o.Place.Show(ctx, l.Files[i], object.If{})
		return err
	})
	switch {
	case absent(err):
		return errors.Join(&GoneError{Err: err}, o.takeBack(ctx, l))
	case err != nil:
		return err
	}
	if !o.Single {
		if err := o.put(ctx, o.Folder()+"/"+succeeded, list{Job: o.Job, Names: o.names(l)}, object.If{}); err != nil {
			return err
		}
	}
	return o.put(ctx, o.list(done), list{}, object.If{})
}

// takeBack removes what was shown of a decision that is not done, and the decision. What
// one object of that name was before, is gone.
func (o Output) takeBack(ctx context.Context, l *list) error {
	if err := each.Do(ctx, atOnce, len(l.Files), func(ctx context.Context, i int) error {
		if err := o.Place.Unstage(ctx, l.Files[i]); err != nil || l.Single {
			return err
		}
		return o.Place.Delete(ctx, l.Files[i].Name)
	}); err != nil {
		return err
	}
	last := o.Folder() + "/" + succeeded
	switch says, err := o.read(ctx, last); {
	case err != nil && !errors.Is(err, object.ErrNotFound):
		return err
	case err == nil && says.Job == o.Job:
		if err := o.Place.Delete(ctx, last); err != nil {
			return err
		}
	}
	return o.Place.Delete(ctx, o.list(decided))
}

// Published are the names of the files below the target, if the job has published; of what
// was decided the rest is shown first.
func (o Output) Published(ctx context.Context) (names []string, ok bool, err error) {
	l, err := o.read(ctx, o.list(decided))
	if absent(err) || err == nil && l.Withdrawn {
		return nil, false, nil
	}
	if err == nil {
		err = o.finish(ctx, l)
	}
	if err != nil {
		return nil, false, err
	}
	return o.names(l), true, nil
}

// Withdraw is Discard, unless it was decided that files are shown: then the rest is shown,
// and their names are told. Whichever it is stays so for all coordinators.
func (o Output) Withdraw(ctx context.Context) (names []string, published bool, err error) {
	err = o.put(ctx, o.list(decided), list{Withdrawn: true}, object.If{Absent: true})
	if errors.Is(err, object.ErrExists) {
		names, published, err = o.Published(ctx)
	}
	if err != nil || published {
		return names, published, err
	}
	return nil, false, o.Discard(ctx)
}

func (o Output) names(l *list) (names []string) {
	for _, f := range l.Files {
		name := strings.TrimPrefix(f.Name, o.Target+"/")
		if o.Single {
			name = path.Base(f.Name)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Discard removes what is left of a job that has ended: what it has not published, and its
// lists. What it has published stays.
func (o Output) Discard(ctx context.Context) error {
	found, err := o.find(ctx, lists+"/"+o.Job+"/*")
	if err != nil {
		return err
	}
	has := func(name string) bool {
		return slices.ContainsFunc(found, func(f object.Object) bool { return f.Name == o.list(name) })
	}
	if has(decided) && !has(done) {
		l, err := o.read(ctx, o.list(decided))
		if err == nil {
			err = o.takeBack(ctx, l)
		}
		if err != nil && !errors.Is(err, object.ErrNotFound) {
			return err
		}
	}
	if err := o.unstage(ctx, found); err != nil {
		return err
	}
	if err := o.Place.Delete(ctx, o.list(decided)); err != nil { // before the list that says that it is done
		return err
	}
	return each.Do(ctx, atOnce, len(found), func(ctx context.Context, i int) error { return o.Place.Delete(ctx, found[i].Name) })
}

// unstage drops what the lists name, and what attempts that were killed had begun.
func (o Output) unstage(ctx context.Context, found []object.Object) error {
	all, err := o.begun(ctx)
	if err != nil {
		return err
	}
	for _, f := range found {
		if !strings.HasPrefix(path.Base(f.Name), draft) {
			continue
		}
		l, err := o.read(ctx, f.Name)
		if err != nil && !errors.Is(err, object.ErrNotFound) {
			return err
		}
		if err == nil {
			all = append(all, l.Files...)
		}
	}
	return each.Do(ctx, atOnce, len(all), func(ctx context.Context, i int) error { return o.Place.Unstage(ctx, all[i]) })
}

// begun is what is staged in the folder under names of the job's attempts, which have its
// own in them. What is to be one object has the name of that.
func (o Output) begun(ctx context.Context) ([]object.Staged, error) {
	if o.Single || len(o.Job) < 8 {
		return nil, nil
	}
	all, err := o.Place.Staged(ctx, o.Folder()+"/")
	return slices.DeleteFunc(all, func(s object.Staged) bool { return !strings.Contains(path.Base(s.Name), "-"+o.Job[:8]+"-") }), err
}

// Jobs are those that have lists in the folder.
func (o Output) Jobs(ctx context.Context) (jobs []string, err error) {
	found, err := o.find(ctx, lists+"/*/*")
	for _, f := range found {
		if job := path.Base(path.Dir(f.Name)); !slices.Contains(jobs, job) {
			jobs = append(jobs, job)
		}
	}
	return jobs, err
}

func (o Output) put(ctx context.Context, name string, l any, when object.If) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if len(text) > listBytesMax {
		return &object.Error{Op: "write", Name: name, Kind: object.ErrTooLarge, Detail: "it is a list of too many files"}
	}
	_, err = o.Place.Put(ctx, name, bytes.NewReader(text), int64(len(text)), when)
	return err
}

func (o Output) read(ctx context.Context, name string) (*list, error) {
	found, err := o.Place.Find(ctx, name)
	if err != nil {
		return nil, err
	}
	if found[0].Size > listBytesMax {
		return nil, &object.Error{Op: "read", Name: name, Kind: object.ErrTooLarge}
	}
	text, err := object.ReadAll(ctx, o.Place, found[0], 0, found[0].Size)
	if err != nil {
		return nil, err
	}
	l := &list{}
	if err := json.Unmarshal(text, l); err != nil {
		return nil, &object.Error{Op: "read", Name: name, Kind: object.ErrUnavailable, Detail: err.Error()}
	}
	return l, nil
}
