package actors

import (
	"encoding/json"
	"net/http"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs/faults"
)

// keyed is a route of a node at which faults can be armed: for who has the key. To others
// there is none.
func (s *server) keyed(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.n.cfg.Faults.Allows(r.Header.Get(api.ChaosKeyHeader)) {
			s.noEndpoint(w, r)
			return
		}
		h(w, r)
	}
}

func (s *server) noEndpoint(w http.ResponseWriter, r *http.Request) {
	s.fail(w, &plan.Error{Kind: plan.KindNotFound, Op: r.Method, Subject: r.URL.Path, Text: "no such endpoint"})
}

func (s *server) getFaults(http.ResponseWriter, *http.Request) (any, error) {
	return s.n.cfg.Faults.States(), nil
}

func (s *server) postFault(_ http.ResponseWriter, r *http.Request) (any, error) {
	var o faults.Order
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(&o)
	if err == nil {
		err = s.n.cfg.Faults.Arm(o)
	}
	if err != nil {
		return nil, &plan.Error{Kind: plan.KindUser, Op: "arm a fault", Subject: string(o.Point), Text: err.Error(), Hint: "pondnode chaos list shows the points"}
	}
	return struct{}{}, nil
}

func (s *server) deleteFaults(http.ResponseWriter, *http.Request) (any, error) {
	return s.n.cfg.Faults.Disarm(), nil
}
