// lookup prints the addresses of each name by getaddrinfo and by c-ares, or the names of each
// address.
const dns = require('dns').promises;
const net = require('net');

async function ask(what, name, f) {
  try {
    for (const x of await f()) console.log(`${what} ${name}: ${x}`);
  } catch (e) {
    console.log(`${what} ${name}: ${e.code}`);
  }
}

(async () => {
  for (const name of process.argv.slice(2)) {
    if (net.isIP(name)) {
      await ask('reverse', name, () => dns.reverse(name));
    } else if (name.startsWith('TXT:')) {
      await ask('resolveTxt', name, async () => (await dns.resolveTxt(name.slice(4))).map(t => t.join('').length));
    } else {
      await ask('lookup', name, async () => (await dns.lookup(name, { all: true })).map(a => a.address));
      await ask('resolve4', name, async () => (await dns.resolve4(name)).sort());
      await ask('resolve6', name, async () => (await dns.resolve6(name)).sort());
    }
  }
})();
