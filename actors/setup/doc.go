// Package setup finds out whether and how a node can start: its [Config] with
// defaults, the data folder and the identity in it, free ports, and whether its
// peers would take it.
//
// It refuses to start anything. Whatever it finds in the way is the user's to
// mend, so its errors name the setting and what to do. Every check is made before
// the first byte is written.
//
// Read config.go, then datadir.go.
package setup
