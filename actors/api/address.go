package api

import (
	"crypto/rand"
	"encoding/hex"
	"net"
	"strconv"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
)

// Ports of a node. The base port, which gossip takes, is the only one that people
// type; the others follow it.
const (
	DefaultPort      = 7946
	ActorsPortOffset = 1
	PortOffset       = 2
	PortsPerNode     = 3
)

// NewJobID makes up a job's id.
func NewJobID() plan.JobID {
	b := make([]byte, 16)
	rand.Read(b) // never fails
	return plan.JobID(hex.EncodeToString(b))
}

// Addr is the API's address for a node's base address, HOST or HOST:PORT.
func Addr(peer string) (string, error) {
	host, port, err := SplitPeer(peer)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(host, strconv.Itoa(port+PortOffset)), nil
}

// SplitPeer reads a base address; the port is DefaultPort unless given.
func SplitPeer(peer string) (string, int, error) {
	host, ps, err := net.SplitHostPort(peer)
	if err != nil {
		host, ps = strings.Trim(peer, "[]"), strconv.Itoa(DefaultPort)
	}
	port, err := strconv.Atoi(ps)
	named := host != "" && !strings.ContainsAny(host, "/@ \t") && (!strings.Contains(host, ":") || net.ParseIP(host) != nil)
	if !named || err != nil || port < 1 || port > 65535-PortsPerNode {
		return "", 0, &plan.Error{Kind: plan.KindUser, Op: plan.OpConfigure, Subject: "peer", Text: strconv.Quote(peer) + " is not an address", Hint: "write HOST or HOST:PORT, with the base port of a node, such as 127.0.0.1:7946"}
	}
	return host, port, nil
}
