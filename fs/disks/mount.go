package disks

import (
	"encoding/json"
	"errors"
	"path/filepath"

	"github.com/pondmesh/pond/fs"
)

// kindMounted is a note in the first store, of a mounting.
const kindMounted = "mounted"

// mounting is where a disk of this node was mounted when it was used last.
type mounting struct {
	Dir   string `json:"dir"`   // the disk's folder
	Mount string `json:"mount"` // where its file system begins: the folder, or one above
}

// errUnmounted: the node started anew, and what is below the folder is not that disk.
// Copies that were on it would be made again where there may be no room for them.
var errUnmounted = errors.New("nothing is mounted there, and a disk was when it was used last: mount it, or another, or name another folder")

// mountOf is where the file system of a disk's folder begins; "" for the root's.
func (d *Disks) mountOf(k *disk) string {
	dir, err := filepath.Abs(k.dir)
	if err != nil || d.opts.FS != nil {
		return ""
	}
	for ; filepath.Dir(dir) != dir; dir = filepath.Dir(dir) {
		if fs.IsMount(dir) {
			return dir
		}
	}
	return ""
}

// unmounted reports whether the disk's folder has no store for want of what was mounted
// there, or above, before.
func (d *Disks) unmounted(k *disk) (bool, error) {
	id, err := fs.StoreID(d.opts.Files().PathJoin(k.dir, storeDir), d.opts)
	if err != nil || id != "" {
		return false, nil // opening it tells what is wrong
	}
	noted, err := d.mountings(k)
	for _, mount := range noted {
		if !fs.IsMount(mount) {
			return true, nil
		}
	}
	return false, err
}

// noteMounted has the next start know whether the disk, which is in use now, is mounted.
func (d *Disks) noteMounted(k *disk) error {
	first := d.all[0].store
	noted, err := d.mountings(k)
	if err != nil {
		return err
	}
	known := false
	for id, mount := range noted {
		if mount == k.mount {
			known = true
		} else {
			err = errors.Join(err, first.Delete(id))
		}
	}
	if known || k.mount == "" || err != nil {
		return err
	}
	attrs, err := json.Marshal(mounting{k.dir, k.mount})
	if err == nil {
		_, err = first.Note(kindMounted, attrs, true)
	}
	return err
}

// mountings are where the disk's file system began, by the notes of that.
func (d *Disks) mountings(k *disk) (map[fs.UploadID]string, error) {
	out := map[fs.UploadID]string{}
	for info, err := range d.all[0].store.List(kindMounted) {
		var m mounting
		if err == nil {
			err = json.Unmarshal(info.Attrs, &m)
		}
		if err != nil {
			return nil, err
		}
		if m.Dir == k.dir {
			out[info.ID] = m.Mount
		}
	}
	return out, nil
}
