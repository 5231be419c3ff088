package oracle

// declaredSCTP are the differences from the kernel's SCTP that are known and meant.
var declaredSCTP = []declaration{}
