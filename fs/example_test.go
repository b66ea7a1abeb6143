package fs_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pondmesh/pond/fs"
)

func ExampleStore() {
	dir, _ := os.MkdirTemp("", "example")
	defer os.RemoveAll(dir)
	store, err := fs.Open(context.Background(), dir, fs.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()

	up, _ := store.Create("segment")
	defer up.Abort() // nothing after Commit
	fmt.Fprint(up, "hello, pond")
	info, _ := up.Commit([]byte("stage 1, task 7"), true)

	r, _ := store.Reader(info.ID)
	defer r.Close()
	part := make([]byte, 4)
	r.ReadAt(part, 7)
	fmt.Printf("%s: %d bytes, %s, %q\n", info.Kind, r.Size(), info.Attrs, part)
	// Output: segment: 11 bytes, stage 1, task 7, "pond"
}

func ExampleStage() {
	dir, _ := os.MkdirTemp("", "example")
	defer os.RemoveAll(dir)
	ctx := context.Background()
	out := filepath.Join(dir, "flights")

	st, err := fs.Stage(ctx, out, "job1", fs.ModeOverwrite)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, attempt := range []string{"1", "2"} { // the first dies
		os.Mkdir(st.File(attempt), 0o777)
		os.WriteFile(st.File(attempt+"/part-0-attempt"+attempt+".parquet"), []byte("rows"), 0o666)
	}
	fmt.Println(st.Publish(ctx, []string{"2/part-0-attempt2.parquet"}))
	// ... the job's end is recorded ...
	fmt.Println(st.Discard(ctx))

	files, _ := filepath.Glob(filepath.Join(out, "*"))
	fmt.Println(len(files), filepath.Base(files[0]))
	// Output:
	// <nil>
	// <nil>
	// 1 part-0-attempt2.parquet
}
