// Pondnode is a node of a pond, and the way into one from a shell: it starts
// nodes, submits jobs to any of them, and shows how they go on.
//
// Results go to standard output, all else to standard error. It decides nothing
// about jobs: package pond carries them out. Read app.go for how a command is run,
// submit.go for a job's way from here.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/pondmesh/pond"
)

// version is set when a release is built.
var version = "dev"

// signalsMax is how many signals wait for a command to look at them.
const signalsMax = 4

func main() {
	if pond.Main() {
		return
	}
	log.SetOutput(io.Discard) // net/http remarks there on servers that are none; errors say it
	signals := make(chan os.Signal, signalsMax)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(sig) { // nohup has its reasons
			signal.Notify(signals, sig)
		}
	}
	os.Exit(run(context.Background(), system{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, env: os.LookupEnv, signals: signals,
	}, os.Args[1:]))
}
