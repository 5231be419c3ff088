package oracle

// left are scenarios that are left out: package socket's own part in waiting differs
// in them.
var left = []string{}
