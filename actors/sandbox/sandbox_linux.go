package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Rights in Landlock's terms.
const (
	readFile = landlock.AccessFSSet(ll.AccessFSReadFile)
	readDir  = landlock.AccessFSSet(ll.AccessFSReadDir)
	writeAll = landlock.AccessFSSet(ll.AccessFSReadFile | ll.AccessFSReadDir | ll.AccessFSWriteFile | ll.AccessFSRemoveDir | ll.AccessFSRemoveFile |
		ll.AccessFSMakeDir | ll.AccessFSMakeReg | ll.AccessFSRefer | ll.AccessFSTruncate)
)

// limits is where DuckDB looks up how much of the machine a process may have, each
// time that a database is opened; it crashes when it may not.
const limits = "/proc/self/cgroup"

// Confine holds this process, all its threads and what they start to a, for good. own
// is its folder, in which it may do everything. Where the kernel has no Landlock or no
// seccomp it holds it to the rest.
func Confine(a Access, own string) error {
	time.Now().Zone() // reads the system's file of time zones, while it may
	r := rulesOf(a)
	list := []landlock.Rule{
		landlock.PathAccess(writeAll, own).IgnoreIfMissing(),
		landlock.PathAccess(readFile, limits, "/dev/null").IgnoreIfMissing(),
		landlock.PathAccess(readFile|readDir, "/sys/fs/cgroup").IgnoreIfMissing(),
	}
	// Open for good: the rule is about the file that this name means while it is.
	if _, err := unix.Open(limits, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("sandbox: open %s: %w", limits, err)
	}
	for _, w := range r.write {
		list = append(list, landlock.PathAccess(writeAll, w).IgnoreIfMissing())
	}
	if len(r.files) > 0 {
		list = append(list, landlock.PathAccess(readFile, r.files...).IgnoreIfMissing())
	}
	if len(r.trees) > 0 {
		list = append(list, landlock.PathAccess(readFile|readDir, r.trees...).IgnoreIfMissing())
	}
	if len(r.lists) > 0 {
		list = append(list, landlock.PathAccess(readDir, r.lists...).IgnoreIfMissing())
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("sandbox: no core files: %w", err)
	}
	if err := landlock.V6.BestEffort().Restrict(list...); err != nil {
		return fmt.Errorf("sandbox: confine to files: %w", err)
	}
	if !seccomp.Supported() {
		return nil
	}
	if err := seccomp.LoadFilter(filter()); err != nil {
		return fmt.Errorf("sandbox: filter system calls: %w", err)
	}
	return nil
}

// refused are system calls that no engine has a use for: new sockets, programs and
// processes, other processes' memory, mounts, keys, and ways around filters.
var refused = []string{
	"socket", "socketpair", "connect", "bind", "listen", "accept", "accept4",
	"execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_open", "pidfd_getfd", "pidfd_send_signal",
	"mount", "umount2", "pivot_root", "chroot", "setns", "unshare", "move_mount", "open_tree", "fsopen", "fsmount", "open_by_handle_at",
	"keyctl", "add_key", "request_key", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "init_module", "finit_module", "delete_module",
	"kexec_load", "reboot", "swapon", "swapoff", "acct", "settimeofday", "clock_settime", "sethostname", "setdomainname", "quotactl",
}

// filter is the seccomp filter of an engine. Threads may be started, processes not;
// signals go to the process itself.
func filter() seccomp.Filter {
	self := uint64(os.Getpid())
	notSelf := seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.NotEqual, Value: self}}
	return seccomp.Filter{
		NoNewPrivs: true,
		Flag:       seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{
			DefaultAction: seccomp.ActionAllow,
			Syscalls: []seccomp.SyscallGroup{
				{Names: append(refused, processCalls...), Action: seccomp.ActionErrno},
				// The library falls back to clone, whose flags a filter can read.
				{Names: []string{"clone3"}, Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS)},
				{NamesWithCondtions: []seccomp.NameWithConditions{
					{Name: "clone", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.BitsNotSet, Value: unix.CLONE_THREAD}}},
					{Name: "kill", Conditions: notSelf},
					{Name: "tgkill", Conditions: notSelf},
				}, Action: seccomp.ActionErrno},
			},
		},
	}
}

// Protection says in a few words what the kernel enforces here.
func Protection() string {
	var has []string
	if abi, err := ll.LandlockGetABIVersion(); err == nil && abi > 0 {
		has = append(has, fmt.Sprintf("Landlock (ABI %d)", abi))
	}
	if seccomp.Supported() {
		has = append(has, "seccomp")
	}
	if len(has) == 0 {
		return "this kernel has neither Landlock nor seccomp: DuckDB's own lock alone confines SQL"
	}
	return strings.Join(has, " and ") + " confine what SQL reaches"
}

// Files reports whether the kernel can hold a process to files.
func Files() bool {
	abi, err := ll.LandlockGetABIVersion()
	return err == nil && abi > 0
}

// expendable is what the kernel adds to a process's badness when it must kill one for
// memory.
const expendable = "500"

// Expend tells the kernel to kill this process, and not the node, when memory is
// short.
func Expend() error {
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte(expendable), 0); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	return nil
}
