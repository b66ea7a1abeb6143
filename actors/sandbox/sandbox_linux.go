package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
	"unsafe"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
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

// Renounce gives up what no engine has a use for, whatever it may reach: core files, and
// system calls. It takes a millisecond, and so is done before anybody waits.
func Renounce() error {
	_ = time.Now().String() // reads the system's file of time zones, while it may
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("sandbox: no core files: %w", err)
	}
	if !seccomp.Supported() {
		return nil
	}
	// That no privileges are gained is this thread's until the filter takes it to all: by
	// another thread, a user who is not root may set no filter.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	here, err := arch.GetInfo("")
	if err == nil {
		err = seccomp.LoadFilter(filter(here))
	}
	if err == nil {
		// The filter above lets pass all calls by another architecture's numbers.
		err = decide(archAt, uint32(here.ID), unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_ERRNO|uint32(unix.ENOSYS))
	}
	if err != nil {
		return fmt.Errorf("sandbox: filter system calls: %w", err)
	}
	return nil
}

// Confine holds this process, all its threads and what they start to a, for good. own
// is its folder, in which it may do everything. Where the kernel has no Landlock it holds
// it to the rest. Renounce comes before.
func Confine(a Access, own string) error {
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
	if err := landlock.V6.BestEffort().Restrict(list...); err != nil {
		return fmt.Errorf("sandbox: confine to files: %w", err)
	}
	if !seccomp.Supported() {
		return nil
	}
	// Landlock's library has reached all threads by it, which is why Renounce leaves it.
	if err := decide(callAt, unix.SYS_TKILL, unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM), unix.SECCOMP_RET_ALLOW); err != nil {
		return fmt.Errorf("sandbox: refuse signals to threads: %w", err)
	}
	return nil
}

// refused are system calls that no engine has a use for, beside tkill: new sockets,
// programs and processes, other processes' memory and limits, signals to them, mounts,
// keys, ways around filters, and what Landlock does not see: modes, owners and times of
// files.
var refused = []string{
	"socket", "socketpair", "connect", "bind", "listen", "accept", "accept4",
	"fork", "vfork", "execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_open", "pidfd_getfd", "pidfd_send_signal",
	"process_madvise", "process_mrelease", "move_pages", "migrate_pages", "kcmp", "rt_sigqueueinfo", "rt_tgsigqueueinfo",
	"chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime", "utimes", "futimesat", "utimensat",
	"setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr", "mknod", "mknodat",
	"shmget", "shmat", "msgget", "semget", "mq_open", "setpriority", "ioprio_set", "sched_setscheduler", "sched_setparam", "sched_setattr",
	"mount", "umount2", "pivot_root", "chroot", "setns", "unshare", "move_mount", "mount_setattr", "open_tree", "fsopen", "fsmount", "fspick", "open_by_handle_at",
	"keyctl", "add_key", "request_key", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "init_module", "finit_module", "delete_module",
	"kexec_load", "reboot", "swapon", "swapoff", "acct", "settimeofday", "clock_settime", "sethostname", "setdomainname", "quotactl", "fanotify_init",
}

// filter is the seccomp filter of an engine on a. Threads may be started, processes
// not; signals and limits are the process's own.
func filter(a *arch.Info) seccomp.Filter {
	pid := uint64(os.Getpid())
	other := seccomp.Condition{Argument: 0, Operation: seccomp.NotEqual, Value: pid}
	return seccomp.Filter{
		NoNewPrivs: true,
		Flag:       seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{
			DefaultAction: seccomp.ActionAllow,
			Syscalls: []seccomp.SyscallGroup{
				{Names: known(a, refused), Action: seccomp.ActionErrno},
				// The library falls back to clone, whose flags a filter can read.
				{Names: []string{"clone3"}, Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS)},
				{NamesWithCondtions: []seccomp.NameWithConditions{
					{Name: "clone", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.BitsNotSet, Value: unix.CLONE_THREAD}}},
					{Name: "kill", Conditions: seccomp.ArgumentConditions{other}},
					{Name: "tgkill", Conditions: seccomp.ArgumentConditions{other}},
					{Name: "prlimit64", Conditions: seccomp.ArgumentConditions{other, {Argument: 0, Operation: seccomp.NotEqual, Value: 0}}},
				}, Action: seccomp.ActionErrno},
			},
		},
	}
}

// known are the names of system calls that an architecture has.
func known(a *arch.Info, names []string) (out []string) {
	for _, n := range names {
		if _, ok := a.SyscallNames[n]; ok {
			out = append(out, n)
		}
	}
	return out
}

// Instructions of a filter: load a word of what is called, compare it, and return.
const (
	bpfLoad   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	bpfEqual  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	bpfReturn = unix.BPF_RET | unix.BPF_K
	callAt    = 0 // where the system call's number is told
	archAt    = 4 // where the architecture is told
)

// decide adds a filter: calls whose word at that place is the value have one end, all
// others the other.
func decide(at, value, same, other uint32) error {
	list := []unix.SockFilter{
		{Code: bpfLoad, K: at},
		{Code: bpfEqual, K: value, Jf: 1},
		{Code: bpfReturn, K: same},
		{Code: bpfReturn, K: other},
	}
	prog := unix.SockFprog{Len: uint16(len(list)), Filter: &list[0]}
	thread, _, err := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(list)
	switch {
	case err != 0:
		return err
	case thread != 0:
		return fmt.Errorf("thread %d has another filter", thread)
	}
	return nil
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
