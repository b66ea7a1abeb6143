package dataset

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/register"
)

// indexes are how many registers hold the names of all datasets.
const indexes = 16

// IndexKeys are the registers that hold names, each the names of some datasets.
func IndexKeys() (keys []register.Key) {
	for i := range indexes {
		keys = append(keys, indexKey(uint32(i)))
	}
	return keys
}

// IndexKey is the register that holds a dataset's name. It is there before the dataset.
func IndexKey(name string) register.Key {
	return indexKey(crc32.ChecksumIEEE([]byte(name)) % indexes)
}

func indexKey(i uint32) register.Key { return register.Key(fmt.Sprintf("datasets/%d", i)) }

// DecodeIndex are the names that a register's data hold, in order.
func DecodeIndex(data []byte) (names []string, err error) {
	if len(data) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(data, &names); err != nil {
		return nil, fmt.Errorf("%w: names of datasets: %w", ErrDamaged, err)
	}
	return names, nil
}

// AddName is an index's data with a name more; nil: it has that name.
func AddName(data []byte, name string) ([]byte, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	names, err := DecodeIndex(data)
	if err != nil {
		return nil, err
	}
	i, found := slices.BinarySearch(names, name)
	if found {
		return nil, nil
	}
	b, err := json.Marshal(slices.Insert(names, i, name))
	if err == nil && len(b) > register.DataMax {
		err = fmt.Errorf("%w: %d names of datasets beside this one", collect.ErrTooMany, len(names))
	}
	return b, err
}
