package actors

import (
	"os"
	"path/filepath"

	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/actors/remote"
	"github.com/pondmesh/pond/actors/setup"
)

// openPlanner opens what plans, and what runs tasks, over files of the node and over
// objects that are elsewhere.
func (n *Node) openPlanner() (err error) {
	n.objects, err = remote.Open(remote.Config{Dir: filepath.Join(n.cfg.Dir, setup.ObjectsDir), Sources: remote.Sources(n.rules, os.Getenv), Log: n.log})
	if err != nil {
		return err
	}
	n.machine = &remote.Machine{Files: n.runner, Cache: n.objects}
	n.planner = prepare.New(remote.DuckDB{Files: n.runner.DuckDB, Cache: n.objects}, n.runner.Tasks, n.rules, n.log)
	n.planner.Objects = n.objects
	return nil
}
