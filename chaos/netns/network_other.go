//go:build !linux

package netns

import (
	"errors"
	"fmt"
)

// Network is not possible here.
type Network struct{}

// Host is not possible here.
type Host struct{}

// New says that networks are for Linux.
func New() (*Network, error) {
	return nil, fmt.Errorf("netns: network namespaces are for Linux: %w", errors.ErrUnsupported)
}

func (*Network) Addr() string            { return "" }
func (*Network) Add() (*Host, error)     { return nil, errors.ErrUnsupported }
func (*Network) Close() error            { return nil }
func (*Host) Addr() string               { return "" }
func (*Host) Do(func() error) error      { return errors.ErrUnsupported }
func (*Host) Set(*Rule)                  {}
func (*Host) Passed() (sent, lost int64) { return 0, 0 }
