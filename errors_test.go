package pond

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// sentinels are what users match errors of each kind with. A kind that is new needs one.
var sentinels = map[plan.Kind]error{
	plan.KindInternal: ErrInternal, plan.KindUser: ErrQuery, plan.KindMemory: ErrMemory, plan.KindFetch: ErrLost, plan.KindResource: ErrResource,
	plan.KindUnavailable: ErrUnavailable, plan.KindFenced: ErrFenced, plan.KindCancelled: ErrCancelled, plan.KindDeadline: ErrDeadline,
	plan.KindNotFound: ErrNotFound, plan.KindExists: ErrExists, plan.KindDenied: ErrDenied, plan.KindCrash: ErrCrash, plan.KindActor: ErrActor,
	plan.KindBusy: ErrBusy, plan.KindLost: ErrDataLost, plan.KindStorage: ErrStorage,
}

// An error of each kind that there is matches its public sentinel, and no other, on the
// node where it happened and at a client that was sent it.
func TestSentinels(t *testing.T) {
	kinds := 0
	for k := plan.Kind(0); !strings.HasPrefix(k.String(), "kind("); k++ {
		kinds++
		if sentinels[k] == nil {
			t.Errorf("kind %s has no sentinel that users may match", k)
		}
		here := fmt.Errorf("while testing: %w", &plan.Error{Kind: k, Op: "run", Text: "why", Hint: "do that"})
		sent, err := json.Marshal(api.FromError(here))
		var came api.Error
		if err = errors.Join(err, json.Unmarshal(sent, &came)); err != nil {
			t.Fatal(err)
		}
		for where, err := range map[string]error{"on its node": public(here), "at a client": public(came.Err()), "of a job": fmt.Errorf("job: %w", (*Error)(&came))} {
			for other, s := range sentinels {
				if errors.Is(err, s) != (other == k) {
					t.Errorf("%s, an error of kind %s matches %q: %t", where, k, s, other != k)
				}
			}
			var e *Error
			if !errors.As(err, &e) || e.Kind != k.String() || e.Text != "why" || e.Hint != "do that" {
				t.Errorf("%s, an error of kind %s came as %#v", where, k, err)
			}
		}
	}
	if kinds != len(sentinels) {
		t.Errorf("%d kinds, %d sentinels", kinds, len(sentinels))
	}
}
