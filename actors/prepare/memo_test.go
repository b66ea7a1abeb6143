package prepare

import (
	"crypto/sha256"
	"fmt"
	"testing"
)

func TestMemo(t *testing.T) {
	var m memo[int]
	key := func(i int) memoKey { return sha256.Sum256(fmt.Append(nil, i)) }
	if _, ok := m.get(key(1)); ok {
		t.Error("an empty memo knows something")
	}
	m.put(key(1), 1, 10)
	m.put(key(2), 2, 10)
	if v, ok := m.get(key(1)); v != 1 || !ok {
		t.Errorf("%d, %t", v, ok)
	}
	m.put(key(3), 3, memoMax) // too large with what surrounds it
	if _, ok := m.get(key(3)); ok || len(m.known) != 2 {
		t.Errorf("%d are known", len(m.known))
	}
	m.put(key(4), 4, memoMax-memoEach) // there is room for it alone
	if v, ok := m.get(key(4)); v != 4 || !ok || len(m.known) != 1 || m.size != memoMax {
		t.Errorf("%d, %t; %d are known, of %d bytes", v, ok, len(m.known), m.size)
	}
}
