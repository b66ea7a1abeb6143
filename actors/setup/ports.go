package setup

import (
	"fmt"
	"net"
	"strconv"

	"github.com/pondmesh/pond/actors/api"
)

// freePortTries is how often BasePort looks for a free run of ports.
const freePortTries = 50

// BasePort is the node's, or where none is given one whose followers are free too.
// Another process may take them first: see [IsPortInUse].
func (c *Config) BasePort() (int, error) {
	host := c.Bind
	if c.Port > 0 {
		return c.Port, nil
	}
	for range freePortTries {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return 0, fmt.Errorf("setup: find a free port on %s: %w", host, err)
		}
		p := l.Addr().(*net.TCPAddr).Port
		l.Close()
		if portsFree(host, p) {
			return p, nil
		}
	}
	return 0, fmt.Errorf("setup: no %d free ports in a row on %s", api.PortsPerNode, host)
}

func portsFree(host string, base int) bool {
	return base+api.PortsPerNode <= 65535 && checkPorts(host, base) == nil
}

// checkPorts says which of a node's ports cannot be listened on.
func checkPorts(host string, base int) error {
	u, err := net.ListenPacket("udp", net.JoinHostPort(host, strconv.Itoa(base)))
	if err != nil {
		return PortError(err, base, base)
	}
	u.Close()
	for p := base; p < base+api.PortsPerNode; p++ {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(p)))
		if err != nil {
			return PortError(err, p, base)
		}
		l.Close()
	}
	return nil
}
