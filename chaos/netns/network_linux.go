package netns

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Measures of the network.
const (
	mtu       = 16_000  // large: few packets
	lateMax   = 100_000 // packets that wait at a time; those beyond it are lost, as in a router
	networks  = 256     // below 198.18.0.0/15, which is reserved for benchmarks
	networkIn = 16      // tries to find one that is free
)

// Network is hosts and their switch. It is safe for concurrent use.
type Network struct {
	number byte
	own    *port
	late   atomic.Int64 // packets that wait
	wait   sync.WaitGroup

	mu    sync.RWMutex
	ports map[[4]byte]*port
	hosts []*Host
}

// port is the switch's end of a host's only interface.
type port struct {
	addr       [4]byte
	tun        *os.File
	rule       atomic.Pointer[Rule]
	sent, lost atomic.Int64
}

// Host is a network namespace, whose processes have one address beside loopback.
type Host struct {
	*port
	calls chan func() // carried out by the namespace's thread
	ended chan struct{}
}

// New makes a network, in which this process has an address too. The caller closes it.
func New() (*Network, error) {
	n := &Network{ports: map[[4]byte]*port{}}
	for range networkIn {
		n.number = byte(rand.IntN(networks))
		if free(n.number) {
			p, err := openPort(address(n.number, ownHost))
			if err != nil {
				return nil, unsupported(err)
			}
			n.own = p
			n.attach(p)
			return n, nil
		}
	}
	return nil, errors.New("netns: no network of 198.18.0.0/16 is free")
}

// unsupported says so if it is a matter of rights, or of the kernel.
func unsupported(err error) error {
	for _, is := range []error{unix.EPERM, unix.EACCES, unix.ENOENT, unix.ENODEV, unix.ENXIO, unix.ENOSYS} {
		if errors.Is(err, is) {
			return fmt.Errorf("netns: needs root and /dev/net/tun: %w: %w", errors.ErrUnsupported, err)
		}
	}
	return fmt.Errorf("netns: %w", err)
}

// free reports whether no interface of this machine is in the network.
func free(number byte) bool {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	own := address(number, 0)
	for _, a := range addrs {
		if x, ok := a.(*net.IPNet); ok && x.Contains(net.IP(own[:])) {
			return false
		}
	}
	return true
}

// Addr is the address of this process.
func (n *Network) Addr() string { return text(n.own.addr) }

// Add makes one more host.
func (n *Network) Add() (*Host, error) {
	n.mu.RLock()
	number := len(n.ports) - 1
	n.mu.RUnlock()
	if number >= HostsMax {
		return nil, fmt.Errorf("netns: more than %d hosts", HostsMax)
	}
	h := &Host{calls: make(chan func()), ended: make(chan struct{})}
	made := make(chan error)
	go h.live(address(n.number, byte(firstHost+number)), made)
	if err := <-made; err != nil {
		return nil, unsupported(err)
	}
	n.attach(h.port)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts = append(n.hosts, h)
	return h, nil
}

// live is the namespace's thread. It ends with the host, and its thread with it: what
// was started there and asked for that is killed by the kernel.
func (h *Host) live(addr [4]byte, made chan<- error) {
	runtime.LockOSThread() // for good
	defer close(h.ended)
	err := unix.Unshare(unix.CLONE_NEWNET)
	if err == nil {
		err = loopback()
	}
	if err == nil {
		h.port, err = openPort(addr)
	}
	made <- err
	if err != nil {
		return
	}
	for call := range h.calls {
		call()
	}
}

// Addr is the host's address.
func (h *Host) Addr() string { return text(h.addr) }

// Do calls f in the namespace: sockets that it opens and processes that it starts are
// the host's.
func (h *Host) Do(f func() error) error {
	done := make(chan error, 1)
	h.calls <- func() { done <- f() }
	return <-done
}

// Set makes packets from and to the host fare so; nil: well.
func (h *Host) Set(r *Rule) { h.rule.Store(r) }

// Passed are the packets that came to the host, and those lost from or to it.
func (h *Host) Passed() (sent, lost int64) { return h.sent.Load(), h.lost.Load() }

// attach joins a port to the switch.
func (n *Network) attach(p *port) {
	n.mu.Lock()
	n.ports[p.addr] = p
	n.mu.Unlock()
	n.wait.Go(func() { n.forward(p) })
}

// forward moves what a host sends to whom it is for, until the port is closed.
func (n *Network) forward(from *port) {
	b := make([]byte, mtu)
	for {
		size, err := from.tun.Read(b)
		if err != nil {
			return
		}
		p := read(b[:size])
		n.mu.RLock()
		to := n.ports[p.to]
		n.mu.RUnlock()
		if !p.hasOne || to == nil {
			continue
		}
		n.deliver(p, from, to, b[:size])
	}
}

func (n *Network) deliver(p packet, from, to *port, b []byte) {
	lost, late := fate(p, from.rule.Load(), to.rule.Load(), rand.IntN)
	switch {
	case lost || late > 0 && n.late.Load() >= lateMax:
		from.lost.Add(1)
		to.lost.Add(1)
	case late > 0:
		n.late.Add(1)
		kept := append([]byte(nil), b...)
		time.AfterFunc(late, func() {
			n.late.Add(-1)
			to.write(kept)
		})
	default:
		to.write(b)
	}
}

// write hands a packet to the host. One that it cannot take is lost, as anywhere.
func (p *port) write(b []byte) {
	if _, err := p.tun.Write(b); err == nil {
		p.sent.Add(1)
	}
}

// Close ends the network, and what runs on its hosts. Nobody calls Do any more.
func (n *Network) Close() error {
	n.mu.Lock()
	var errs []error
	for _, p := range n.ports {
		errs = append(errs, p.tun.Close())
	}
	for _, h := range n.hosts {
		close(h.calls)
		<-h.ended
	}
	n.mu.Unlock()
	n.wait.Wait()
	return errors.Join(errs...)
}

// openPort makes an interface with an address in this thread's namespace.
func openPort(addr [4]byte) (*port, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	req, err := unix.NewIfreq("pond%d")
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err == nil {
		err = configure(req.Name(), addr)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("interface: %w", err)
	}
	return &port{addr: addr, tun: os.NewFile(uintptr(fd), "/dev/net/tun")}, nil
}

// configure gives an interface its address and turns it on.
func configure(name string, addr [4]byte) error {
	for _, set := range []struct {
		what uint
		to   func(*unix.Ifreq) error
	}{
		{unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(addr[:]) }},
		{unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr([]byte{255, 255, 255, 0}) }},
		{unix.SIOCSIFMTU, func(r *unix.Ifreq) error { r.SetUint32(mtu); return nil }},
		{unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil }},
	} {
		if err := ioctl(name, set.what, set.to); err != nil {
			return err
		}
	}
	return nil
}

// loopback turns on the namespace's own.
func loopback() error {
	return ioctl("lo", unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil })
}

func ioctl(name string, what uint, set func(*unix.Ifreq) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := set(req); err != nil {
		return err
	}
	return unix.IoctlIfreq(fd, what, req)
}
