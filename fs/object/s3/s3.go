// Package s3 is S3, and what speaks its protocol, as a place of objects: names are
// s3://BUCKET/KEY, with the key as it is, not percent-encoded. A version is an ETag.
//
// It takes credentials, region and endpoint from where the AWS tools do: the variables
// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION,
// AWS_DEFAULT_REGION, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_PROFILE and
// AWS_SHARED_CREDENTIALS_FILE, and ~/.aws/credentials; without any, requests are not
// signed. It refuses to ask metadata services of clouds. Checksums are sent in headers,
// never as trailers, which not all servers understand.
//
// That of several writers one wins is for the server to see to: it has to look at If-Match
// and If-None-Match when it takes an object, and when it puts together the parts of one.
// Read Open next, then write.go.
package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/pondmesh/pond/fs/object"
)

// Config is how a server is reached. The zero value asks AWS without credentials.
type Config struct {
	Endpoint string // URL; empty: AWS
	Region   string // empty: the server is asked
	Access   string // access key; empty: requests are not signed
	Secret   string
	Token    string
	From     string // where the credentials are from, for errors
}

// ConfigFrom reads a Config from the environment, and files that it names. An error is
// about a file.
func ConfigFrom(env func(string) string) (Config, error) {
	first := func(names ...string) string {
		for _, n := range names {
			if v := env(n); v != "" {
				return v
			}
		}
		return ""
	}
	c := Config{Endpoint: first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), Region: first("AWS_REGION", "AWS_DEFAULT_REGION"), From: "none found in AWS_ACCESS_KEY_ID or ~/.aws/credentials"}
	if c.Access, c.Secret, c.Token = env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY"), env("AWS_SESSION_TOKEN"); c.Access != "" {
		c.From = "from AWS_ACCESS_KEY_ID"
		return c, nil
	}
	file := first("AWS_SHARED_CREDENTIALS_FILE")
	if home := env("HOME"); file == "" && home != "" {
		file = filepath.Join(home, ".aws", "credentials")
	}
	if _, err := os.Stat(file); file == "" || errors.Is(err, os.ErrNotExist) {
		return c, nil
	}
	v, err := credentials.NewFileAWSCredentials(file, first("AWS_PROFILE", "AWS_DEFAULT_PROFILE")).GetWithContext(nil)
	if err != nil {
		return c, fmt.Errorf("s3: credentials of %s: %w", file, err)
	}
	c.Access, c.Secret, c.Token, c.From = v.AccessKeyID, v.SecretAccessKey, v.SessionToken, "from "+file
	return c, nil
}

// Store is a server.
type Store struct {
	client *minio.Core
	from   string
}

// scheme begins the names.
const scheme = "s3://"

// listMax is how many objects a pattern may be looked for among.
const listMax = 1_000_000

// tries is how often a request that has not been answered is made.
const tries = 3

// Open returns the server of a Config. Nothing is asked of it yet.
func Open(c Config) (*Store, error) {
	host, secure, lookup := "s3.amazonaws.com", true, minio.BucketLookupAuto
	if c.Endpoint != "" {
		u, err := url.Parse(c.Endpoint)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
			return nil, fmt.Errorf("s3: the endpoint %q is no http:// or https:// URL of a server", c.Endpoint)
		}
		host, secure, lookup = u.Host, u.Scheme == "https", minio.BucketLookupPath
	}
	transport, err := minio.DefaultTransport(secure)
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	client, err := minio.NewCore(host, &minio.Options{
		Creds: credentials.NewStaticV4(c.Access, c.Secret, c.Token), Secure: secure, Region: c.Region, BucketLookup: lookup,
		Transport: transport, MaxRetries: tries,
	})
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	return &Store{client: client, from: c.From}, nil
}

// Find lists the objects that a name or a pattern means.
func (s *Store) Find(ctx context.Context, pattern string) ([]object.Object, error) {
	bucket, key, err := split("find", pattern)
	if err != nil {
		return nil, err
	}
	if key == object.Prefix(key) {
		o, err := s.stat(ctx, "find", bucket, key)
		return []object.Object{o}, err
	}
	if err := object.CheckPattern(pattern); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the listing
	var found []object.Object
	seen := 0
	for info := range s.client.Client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Prefix: object.Prefix(key), Recursive: true}) {
		if info.Err != nil {
			return nil, s.failed(ctx, "find", pattern, info.Err)
		}
		if seen++; seen > listMax {
			return nil, &object.Error{Op: "find", Name: pattern, Kind: object.ErrPattern, Detail: fmt.Sprintf("more than %d objects begin like it", listMax), Hint: "begin the pattern with more of the name"}
		}
		if object.Match(key, info.Key) && !strings.HasSuffix(info.Key, "/") {
			found = append(found, of(bucket, info))
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if len(found) == 0 {
		return nil, &object.Error{Op: "find", Name: pattern, Kind: object.ErrNotFound, Detail: "nothing matches"}
	}
	slices.SortFunc(found, func(a, b object.Object) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

func (s *Store) stat(ctx context.Context, op, bucket, key string) (object.Object, error) {
	info, err := s.client.StatObject(ctx, bucket, key, minio.StatObjectOptions{})
	if err != nil {
		return object.Object{}, s.failed(ctx, op, scheme+bucket+"/"+key, err)
	}
	info.Key = key
	return of(bucket, info), nil
}

func of(bucket string, info minio.ObjectInfo) object.Object {
	return object.Object{Name: scheme + bucket + "/" + info.Key, Size: info.Size, Version: strings.Trim(info.ETag, `"`), ModTime: info.LastModified}
}

// Open reads a range of an object.
func (s *Store) Open(ctx context.Context, o object.Object, off, n int64) (io.ReadCloser, error) {
	bucket, key, err := split("read", o.Name)
	if err != nil {
		return nil, err
	}
	if err := object.CheckRange(o, off, n); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if n == 0 {
		return io.NopCloser(strings.NewReader("")), nil
	}
	var opts minio.GetObjectOptions
	err = errors.Join(opts.SetRange(off, off+n-1), opts.SetMatchETag(o.Version))
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	body, info, _, err := s.client.GetObject(ctx, bucket, key, opts)
	if err != nil {
		return nil, s.failed(ctx, "read", o.Name, err)
	}
	if strings.Trim(info.ETag, `"`) != o.Version { // not all servers look at the condition
		body.Close()
		return nil, &object.Error{Op: "read", Name: o.Name, Kind: object.ErrChanged}
	}
	if info.Size != n {
		body.Close()
		return nil, &object.Error{Op: "read", Name: o.Name, Kind: object.ErrUnavailable, Detail: fmt.Sprintf("%d bytes are answered where %d are asked for", info.Size, n)}
	}
	return object.Exactly(o, body, n), nil
}

// split is a name's bucket and key.
func split(op, name string) (bucket, key string, err error) {
	rest, ok := strings.CutPrefix(name, scheme)
	bucket, key, ok2 := strings.Cut(rest, "/")
	if !ok || !ok2 || bucket == "" || key == "" || strings.ContainsAny(bucket, "*?[") {
		return "", "", &object.Error{Op: op, Name: name, Kind: object.ErrName, Detail: "names here are " + scheme + "BUCKET/KEY"}
	}
	return bucket, key, nil
}

// failed is what a server, or the way to it, said.
func (s *Store) failed(ctx context.Context, op, name string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	said := minio.ToErrorResponse(err)
	e := &object.Error{Op: op, Name: name, Kind: object.ErrUnavailable, Detail: err.Error()}
	switch {
	case said.StatusCode == http.StatusPreconditionFailed || said.Code == "PreconditionFailed":
		e.Kind, e.Detail = object.ErrChanged, ""
	case said.StatusCode == http.StatusConflict && op == "write": // another writer is at it
		e.Kind, e.Detail = object.ErrChanged, said.Code
	case said.StatusCode == http.StatusNotFound:
		e.Kind, e.Detail = object.ErrNotFound, ""
		if said.Code == "NoSuchBucket" {
			e.Kind, e.Detail = object.ErrNoPlace, "there is no such bucket"
		}
		e.Hint = "look whether the bucket and the key are right; a folder is named by a pattern: s3://BUCKET/FOLDER/*.parquet"
	case said.StatusCode == http.StatusForbidden || said.StatusCode == http.StatusUnauthorized:
		e.Kind, e.Detail = object.ErrDenied, fmt.Sprintf("%d %s; credentials: %s", said.StatusCode, said.Code, s.from)
		e.Hint = "give the nodes credentials that may do this: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials"
	case said.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		e.Kind, e.Detail = object.ErrChanged, ""
	case said.StatusCode >= 300 && said.StatusCode < 400:
		e.Detail = fmt.Sprintf("%d %s: the bucket is in another region", said.StatusCode, said.Code)
		e.Hint = "set AWS_REGION, or AWS_ENDPOINT_URL"
	}
	return e
}
