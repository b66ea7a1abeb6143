package access

import "golang.org/x/sys/unix"

// kernelTypes are the file systems that show the kernel, wherever they are mounted.
var kernelTypes = map[int64]bool{
	unix.PROC_SUPER_MAGIC: true, unix.SYSFS_MAGIC: true, unix.DEBUGFS_MAGIC: true, unix.TRACEFS_MAGIC: true, unix.SECURITYFS_MAGIC: true,
	unix.CGROUP_SUPER_MAGIC: true, unix.CGROUP2_SUPER_MAGIC: true, unix.BPF_FS_MAGIC: true, unix.EFIVARFS_MAGIC: true, unix.PSTOREFS_MAGIC: true,
	unix.DEVPTS_SUPER_MAGIC: true, unix.SELINUX_MAGIC: true, unix.BINFMTFS_MAGIC: true,
}

// kernelFiles reports whether a folder is of such a file system.
func kernelFiles(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && kernelTypes[int64(st.Type)]
}
