package api

import (
	"net/http"
	"strings"
)

// repeat says whether a request may be made once more, of another node, when it is
// not known what became of the first.
type repeat int

const (
	never  repeat = iota // it is about the very node that is asked
	always               // it changes nothing, or twice is as once
	byID                 // of a job that has an id: the same again is the same job
)

// repeats are the requests of clients. One that is not here is never repeated.
var repeats = []struct {
	method, path string
	repeat       repeat
}{
	{http.MethodPost, "/v1/jobs", byID},
	{http.MethodGet, "/v1/job-id", always},
	{http.MethodGet, "/v1/jobs", always},
	{http.MethodGet, "/v1/jobs/{id}", always},
	{http.MethodGet, "/v1/jobs/{id}/spec", always},
	{http.MethodGet, "/v1/jobs/{id}/watch", always},
	{http.MethodGet, "/v1/jobs/{id}/explain", always},
	{http.MethodPost, "/v1/jobs/{id}/cancel", always}, // an ended job stays ended
	{http.MethodPost, "/v1/jobs/{id}/renew", always},
	{http.MethodPost, "/v1/describe", always},
	{http.MethodPost, "/v1/explain", always},
	{http.MethodGet, "/v1/datasets", always},
	{http.MethodDelete, "/v1/datasets/{name}", never}, // another may have made it again
	{http.MethodGet, "/v1/datasets/{name}", always},
	{http.MethodGet, "/v1/datasets/{name}/files", always},
	{http.MethodPost, "/v1/datasets/{name}/puts/{id}", always}, // a put has an id, and each is one
	{http.MethodPut, "/v1/datasets/{name}/puts/{id}/files", always},
	{http.MethodPost, "/v1/datasets/{name}/puts/{id}/publish", always},
	{http.MethodPost, "/v1/datasets/{name}/puts/{id}/remove", always},
	{http.MethodDelete, "/v1/datasets/{name}/puts/{id}", always},
	{http.MethodGet, "/v1/storage", always},
	{http.MethodPost, "/v1/storage/repair", always},
	{http.MethodPost, "/v1/storage/scrub", always},
	{http.MethodPost, "/v1/storage/drain", always},
	{http.MethodPost, "/v1/storage/forget", always},
	{http.MethodGet, "/v1/members", always},
	{http.MethodGet, "/v1/usage", always},
	{http.MethodGet, "/v1/version", always},
	{http.MethodPost, "/v1/leave", never},
	{http.MethodPost, "/v1/registers/recover", never},
}

// mayRepeat looks a request up.
func mayRepeat(method, path string, in any) bool {
	path, _, _ = strings.Cut(path, "?")
	for _, r := range repeats {
		if r.method != method || !matches(r.path, path) {
			continue
		}
		spec, isSpec := in.(*JobSpec)
		return r.repeat == always || r.repeat == byID && isSpec && spec.ID != ""
	}
	return false
}

// matches compares a path with a pattern, in which {…} is any segment.
func matches(pattern, path string) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && (want[i] == "" || want[i][0] != '{' || got[i] == "") {
			return false
		}
	}
	return true
}
