// Package netns makes a network of this machine's that can be broken: hosts, each in a
// network namespace, joined by a switch in this process, which loses and delays
// packets as it is told.
//
//	namespace        this process         namespace
//	node ── tun ───▶ switch: Rule? ───▶ tun ── node
//
// It is for root on Linux with /dev/net/tun, and needs no program beside the kernel:
// where it is not possible, New returns an error that is errors.ErrUnsupported and says
// what is missing. All of it ends with the process, however that ends. It refuses to
// know nodes: package chaos says who is struck. Read rule.go, then network_linux.go.
package netns

import "fmt"

// HostsMax bounds the hosts of a network.
const HostsMax = 64

// firstHost is the last number of the first host's address; that of this process is
// ownHost.
const (
	ownHost   = 1
	firstHost = 10
)

// address is that of a host of a network.
func address(network, host byte) [4]byte { return [4]byte{198, 18, network, host} }

func text(a [4]byte) string { return fmt.Sprintf("%d.%d.%d.%d", a[0], a[1], a[2], a[3]) }
