//go:build !linux

package chaos

import (
	"errors"
	"fmt"
)

// Engines is not possible here.
func (n *Node) Engines() (map[int]int, error) {
	return nil, fmt.Errorf("chaos: engine processes of node %s: %w", n.id, errors.ErrUnsupported)
}
