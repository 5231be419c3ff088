package inet

import "syscall"

// machineMemory returns how many bytes of memory the machine has.
func machineMemory() int {
	var in syscall.Sysinfo_t
	if syscall.Sysinfo(&in) != nil {
		return commonMemory
	}
	return int(in.Totalram) * int(in.Unit)
}
