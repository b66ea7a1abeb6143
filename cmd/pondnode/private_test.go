package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPrivate: keys that others may read are refused, with what to type.
func TestPrivate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gossip.key")
	if err := os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o644: false, 0o604: false, 0o620: false, 0o666: false, 0o601: false} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		_, err := gossipKey(file)
		if ok != (err == nil) {
			t.Errorf("mode %04o: %v", mode, err)
		}
		if u, is := err.(usageError); !ok && (!is || !strings.Contains(u.Error()+u.hint, "chmod 600 ")) {
			t.Errorf("mode %04o: %v", mode, err)
		}
		tls := tlsFlags{cert: file, key: file, ca: file}
		if _, err := tls.config(); !ok && !strings.Contains(err.Error(), "--tls-key: others may use the key") {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
	if err := private("--tls-key", filepath.Join(t.TempDir(), "none")); err != nil {
		t.Error(err)
	}
}
