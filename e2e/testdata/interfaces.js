// Lists the addresses of all interfaces: name, address and prefix length.
for (const [name, list] of Object.entries(require('os').networkInterfaces())) {
	for (const a of list) console.log(name, a.cidr);
}
