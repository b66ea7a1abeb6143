package chaos

import (
	"embed"
	"fmt"
	"path"

	"github.com/pondmesh/pond/chaos/scenario"
)

//go:embed scenarios/*.yaml
var shipped embed.FS

// Swarm is the shipped scenario that draws from all faults of processes.
const Swarm = "swarm"

// Scenarios are those that Pond ships, by name.
func Scenarios() ([]*scenario.Scenario, error) {
	files, err := shipped.ReadDir("scenarios")
	if err != nil {
		return nil, fmt.Errorf("chaos: shipped scenarios: %w", err)
	}
	var out []*scenario.Scenario
	for _, f := range files {
		name := path.Join("scenarios", f.Name())
		b, err := shipped.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("chaos: shipped scenarios: %w", err)
		}
		s, err := scenario.Parse(name, b)
		if err != nil {
			return nil, fmt.Errorf("chaos: shipped scenarios: %w", err)
		}
		out = append(out, s)
	}
	return out, nil
}
