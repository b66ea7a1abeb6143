package actors

import (
	"context"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/tree"
)

// PlanSQL makes a plan of one SELECT. Files that it names by relative paths are
// those in dir.
func (n *Node) PlanSQL(ctx context.Context, sql, dir string) (*plan.Plan, error) {
	js, err := n.engines.planner.Parse(ctx, sql)
	if err != nil {
		return nil, engineError("parse", err)
	}
	root, err := tree.Decode(js)
	if err != nil {
		return nil, err
	}
	if stmts, _ := root["statements"].([]any); len(stmts) != 1 {
		return nil, &plan.TaskError{Kind: plan.KindUser, Op: "parse", Text: "one statement is expected", Hint: "submit one SELECT at a time"}
	}
	files := tree.AbsoluteFiles(root, dir)
	js, err = tree.Encode(root)
	if err != nil {
		return nil, err
	}
	query, err := n.engines.planner.Deparse(ctx, js)
	if err != nil {
		return nil, engineError("parse", err)
	}
	return &plan.Plan{
		Nodes: []plan.Node{{ID: "sql", SQL: &plan.SQLOp{Query: query, Access: files}}},
		Sink:  plan.Sink{Input: "sql", Collect: &plan.CollectOp{}},
	}, nil
}
