//go:build !linux

package inet

// machineMemory returns how many bytes of memory a common machine has.
func machineMemory() int { return commonMemory }
