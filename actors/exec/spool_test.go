//go:build duckdb_arrow

package exec

import (
	"errors"
	"io"
	"os"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/actors/plan"
)

// Rows that were spooled come back, or none do: a file that was cut, between two
// blocks too, or changed is an error, never fewer rows.
func TestSpoolDamage(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "i", Type: arrow.PrimitiveTypes.Int64}}, nil)
	for name, do := range map[string]func(f *os.File, block int64) error{
		"whole":         nil,
		"cut to a half": func(f *os.File, block int64) error { return f.Truncate(block / 2) },
		"cut to blocks": func(f *os.File, block int64) error { return f.Truncate(2 * block) },
		"empty":         func(f *os.File, _ int64) error { return f.Truncate(0) },
		"flipped": func(f *os.File, block int64) error {
			b := make([]byte, 1)
			_, err := f.ReadAt(b, block-1)
			_, err2 := f.WriteAt([]byte{b[0] ^ 1}, block-1)
			return errors.Join(err, err2)
		},
		"zeroed": func(f *os.File, block int64) error {
			_, err := f.WriteAt(make([]byte, 64), block)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := newSpool(t.TempDir(), schema, memory.DefaultAllocator)
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
			defer b.Release()
			for range 3 {
				b.Field(0).(*array.Int64Builder).AppendValues([]int64{3, 1, 4, 1, 5}, nil)
				if err := s.write(b.NewRecordBatch()); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.finish(); err != nil {
				t.Fatal(err)
			}
			if do != nil {
				if err := do(s.file, s.size/3); err != nil {
					t.Fatal(err)
				}
			}
			in, err := s.open(t.Context(), []int{0})
			if err != nil {
				t.Fatal(err)
			}
			rows := int64(0)
			for err == nil {
				var rec arrow.RecordBatch
				if rec, err = in.Next(); err == nil {
					rows += rec.NumRows()
				}
			}
			if do == nil && (!errors.Is(err, io.EOF) || rows != 15) || do != nil && !errors.Is(err, plan.ErrStorage) {
				t.Errorf("%d rows, then %v", rows, err)
			}
		})
	}
}
