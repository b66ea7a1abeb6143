//go:build !linux

package main

import (
	"errors"
	"time"
)

// pin is for Linux alone, and so is the program: see needProc.
func pin(int) error { return errors.ErrUnsupported }

func threadTime() time.Duration { return 0 }
