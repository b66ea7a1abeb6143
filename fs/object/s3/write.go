package s3

import (
	"bytes"
	"context"
	"crypto/md5" // #nosec: what the protocol compares bodies by
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/pondmesh/pond/fs/object"
)

var _ object.Stager = (*Store)(nil)

// Bounds of what is written. An object of more than partSize bytes is put in parts, each of
// which is in memory once. S3 has at most partsMax of them.
const (
	partSize    = 16 << 20
	partSizeMax = 64 << 20
	partsMax    = 10_000
)

// stagedMax is how many objects are listed that were staged and not shown.
const stagedMax = 100_000

// mark is the name of the metadata by which a writer knows its own object again, should the
// answer to its request have been lost.
const mark = "Pond-Mark"

// Put writes an object: see object.Sink.
func (s *Store) Put(ctx context.Context, name string, r io.Reader, size int64, when object.If) (object.Object, error) {
	if size > partSize {
		return s.putParts(ctx, name, r, size, when)
	}
	bucket, key, err := split("write", name)
	if err != nil {
		return object.Object{}, err
	}
	return s.putWhole(ctx, object.Staged{Name: name, Size: size, Mark: rand.Text()}, bucket, key, r, when)
}

// putWhole puts an object by one request.
func (s *Store) putWhole(ctx context.Context, o object.Staged, bucket, key string, r io.Reader, when object.If) (object.Object, error) {
	body, err := part(o.Name, r, o.Size)
	if err != nil {
		return object.Object{}, err
	}
	opts := minio.PutObjectOptions{UserMetadata: map[string]string{mark: o.Mark}, DisableContentSha256: true}
	conditions(&opts, when)
	info, err := s.client.PutObject(ctx, bucket, key, bytes.NewReader(body.data), o.Size, body.md5, body.sha256, opts)
	if err != nil {
		return s.perhapsShown(ctx, o, when, err)
	}
	return object.Object{Name: o.Name, Size: o.Size, Version: strings.Trim(info.ETag, `"`), ModTime: info.LastModified}, nil
}

// putParts stages an object and shows it.
func (s *Store) putParts(ctx context.Context, name string, r io.Reader, size int64, when object.If) (object.Object, error) {
	staged, err := s.Stage(ctx, name, r, size)
	if err != nil {
		return object.Object{}, err
	}
	o, err := s.Show(ctx, staged, when)
	if err != nil {
		s.drop(ctx, staged)
	}
	return o, err
}

// drop drops what was staged and is of no use, also when the caller has no more time.
func (s *Store) drop(ctx context.Context, staged object.Staged) {
	_ = s.Unstage(context.WithoutCancel(ctx), staged) // what fails here, servers end after days
}

// Stage uploads the parts of an object: see object.Stager.
func (s *Store) Stage(ctx context.Context, name string, r io.Reader, size int64) (out object.Staged, err error) {
	bucket, key, err := split("write", name)
	if err != nil {
		return out, err
	}
	each := max(partSize, (size+partsMax-1)/partsMax)
	if each > partSizeMax {
		return out, &object.Error{Op: "write", Name: name, Kind: object.ErrTooLarge, Detail: fmt.Sprintf("%d bytes", size)}
	}
	out = object.Staged{Name: name, Size: size, Mark: rand.Text()}
	if size == 0 {
		return out, nil // not all servers take a part that is empty, and without one there is no upload
	}
	if out.Upload, err = s.client.NewMultipartUpload(ctx, bucket, key, minio.PutObjectOptions{UserMetadata: map[string]string{mark: out.Mark}}); err != nil {
		return out, s.failed(ctx, "write", name, err)
	}
	for left := size; left > 0; {
		n := min(left, each)
		version, err := s.stagePart(ctx, &out, bucket, key, r, n)
		if err != nil {
			s.drop(ctx, out)
			return object.Staged{}, err
		}
		out.Parts, left = append(out.Parts, version), left-n
	}
	return out, nil
}

func (s *Store) stagePart(ctx context.Context, o *object.Staged, bucket, key string, r io.Reader, n int64) (version string, err error) {
	body, err := part(o.Name, r, n)
	if err != nil {
		return "", err
	}
	got, err := s.client.PutObjectPart(ctx, bucket, key, o.Upload, len(o.Parts)+1, bytes.NewReader(body.data), n,
		minio.PutObjectPartOptions{Md5Base64: body.md5, Sha256Hex: body.sha256, DisableContentSha256: true})
	if err != nil {
		return "", s.failed(ctx, "write", o.Name, err)
	}
	return got.ETag, nil
}

// summed is a body with its sums. Sums are headers, so that the body is sent as it is, and
// again if need be.
type summed struct {
	data        []byte
	md5, sha256 string
}

// part reads n bytes into memory.
func part(name string, r io.Reader, n int64) (out summed, err error) {
	out.data = make([]byte, n)
	if _, err := io.ReadFull(r, out.data); err != nil {
		return out, &object.Error{Op: "write", Name: name, Kind: object.ErrUnavailable, Detail: "what is written ended early: " + err.Error()}
	}
	short, long := md5.Sum(out.data), sha256.Sum256(out.data)
	out.md5, out.sha256 = base64.StdEncoding.EncodeToString(short[:]), hex.EncodeToString(long[:])
	return out, nil
}

// Show puts an object's parts together: see object.Stager.
func (s *Store) Show(ctx context.Context, o object.Staged, when object.If) (object.Object, error) {
	bucket, key, err := split("write", o.Name)
	if err != nil {
		return object.Object{}, err
	}
	if o.Size == 0 {
		return s.putWhole(ctx, o, bucket, key, strings.NewReader(""), when)
	}
	parts := make([]minio.CompletePart, len(o.Parts))
	for i, version := range o.Parts {
		parts[i] = minio.CompletePart{PartNumber: i + 1, ETag: version}
	}
	var opts minio.PutObjectOptions
	conditions(&opts, when)
	info, err := s.client.CompleteMultipartUpload(ctx, bucket, key, o.Upload, parts, opts)
	if err != nil {
		return s.perhapsShown(ctx, o, when, err)
	}
	return object.Object{Name: o.Name, Size: o.Size, Version: strings.Trim(info.ETag, `"`), ModTime: info.LastModified}, nil
}

func conditions(opts *minio.PutObjectOptions, when object.If) {
	if when.Absent {
		opts.SetMatchETagExcept("*")
	}
	if when.Version != "" {
		opts.SetMatchETag(when.Version)
	}
}

// perhapsShown is the object for which a request failed, if it is there all the same: the
// answer to an earlier one was lost. Else it is why it is not.
func (s *Store) perhapsShown(ctx context.Context, o object.Staged, when object.If, err error) (object.Object, error) {
	failed, code := s.failed(ctx, "write", o.Name, err), minio.ToErrorResponse(err).Code
	said, ok := errors.AsType[*object.Error](failed)
	if !ok || said.Kind != object.ErrChanged && said.Kind != object.ErrNotFound {
		return object.Object{}, failed
	}
	bucket, key, err := split("write", o.Name)
	if err != nil {
		return object.Object{}, err
	}
	info, err := s.client.StatObject(ctx, bucket, key, minio.StatObjectOptions{})
	if err == nil && info.UserMetadata[mark] == o.Mark {
		info.Key = key
		return of(bucket, info), nil
	}
	switch {
	case code == minio.NoSuchUpload:
		said.Kind, said.Detail, said.Hint = object.ErrNotFound, "its parts are gone", ""
	case when.Absent:
		said.Kind = object.ErrExists
	case when.Version != "": // of what is not there some servers say just that
		said.Kind, said.Hint = object.ErrChanged, ""
	}
	return object.Object{}, said
}

// Unstage drops an object's parts: see object.Stager.
func (s *Store) Unstage(ctx context.Context, o object.Staged) error {
	bucket, key, err := split("write", o.Name)
	if err != nil {
		return err
	}
	if o.Upload == "" {
		return nil
	}
	err = s.client.AbortMultipartUpload(ctx, bucket, key, o.Upload)
	if err != nil && minio.ToErrorResponse(err).Code != minio.NoSuchUpload {
		return s.failed(ctx, "write", o.Name, err)
	}
	return nil
}

// Staged lists uploads that have not ended. Some servers list those of one key alone.
func (s *Store) Staged(ctx context.Context, prefix string) (out []object.Staged, err error) {
	bucket, key, err := split("find", prefix+"x")
	if err != nil {
		return nil, err
	}
	key = strings.TrimSuffix(key, "x") // it may be empty
	page := minio.ListMultipartUploadsResult{IsTruncated: true}
	for page.IsTruncated && len(out) < stagedMax {
		page, err = s.client.ListMultipartUploads(ctx, bucket, key, page.NextKeyMarker, page.NextUploadIDMarker, "", 0)
		if err != nil {
			return nil, s.failed(ctx, "find", prefix, err)
		}
		for _, u := range page.Uploads {
			out = append(out, object.Staged{Name: scheme + bucket + "/" + u.Key, Upload: u.UploadID})
		}
	}
	return out, nil
}

// Delete removes an object: see object.Sink.
func (s *Store) Delete(ctx context.Context, name string) error {
	bucket, key, err := split("delete", name)
	if err != nil {
		return err
	}
	if err := s.client.RemoveObject(ctx, bucket, key, minio.RemoveObjectOptions{}); err != nil && minio.ToErrorResponse(err).Code != minio.NoSuchKey {
		return s.failed(ctx, "delete", name, err)
	}
	return nil
}
