package disks

import (
	"errors"

	"github.com/pondmesh/pond/fs"
)

// kindMounted is a note in the first store: its attrs name a folder on which a disk of this
// node was mounted when it was used last.
const kindMounted = "mounted"

// errUnmounted: the node started anew, and what is below the folder is not that disk.
// Copies that were on it would be made again where there may be no room for them.
var errUnmounted = errors.New("nothing is mounted there, and a disk was when it was used last: mount it, or another, or name another folder")

// mounted reports whether a file system of its own begins at the disk's folder.
func (d *Disks) mounted(k *disk) bool { return d.opts.FS == nil && fs.IsMount(k.dir) }

// unmounted reports whether the disk's folder is empty for want of what was mounted on it
// before.
func (d *Disks) unmounted(k *disk) (bool, error) {
	id, err := fs.StoreID(d.opts.Files().PathJoin(k.dir, storeDir), d.opts)
	if err != nil || id != "" || d.mounted(k) {
		return false, nil // opening it tells what is wrong
	}
	notes, err := d.mountNotes(k)
	return len(notes) > 0, err
}

// noteMounted has the next start know whether the disk, which is in use now, is mounted.
func (d *Disks) noteMounted(k *disk) error {
	notes, err := d.mountNotes(k)
	switch first := d.all[0].store; {
	case err != nil:
		return err
	case k.mount && len(notes) == 0:
		_, err = first.Note(kindMounted, []byte(k.dir), true)
	case !k.mount:
		for _, id := range notes {
			err = errors.Join(err, first.Delete(id))
		}
	}
	return err
}

func (d *Disks) mountNotes(k *disk) (ids []fs.UploadID, err error) {
	for info, err := range d.all[0].store.List(kindMounted) {
		if err != nil {
			return nil, err
		}
		if string(info.Attrs) == k.dir {
			ids = append(ids, info.ID)
		}
	}
	return ids, nil
}
