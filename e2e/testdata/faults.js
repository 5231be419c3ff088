// faults.py in Node.
const net = require('net'), dns = require('dns');
const [, , port, how, bytes] = process.argv;
const late = (began) => (Date.now() - began > 250 ? ' late' : '');
const out = (text) => { process.stdout.write(text + '\n', () => process.exit()); };

// receive says what comes, until that is n bytes, the end or an error, and then calls done.
function receive(s, n, done) {
  const said = [];
  let got = 0, began = Date.now();
  const end = (word) => {
    if (done === null) return;
    if (word) said.push(word);
    const f = done;
    done = null;
    f(said.join(' '));
  };
  s.on('data', (b) => {
    said.push(b.length + late(began));
    began = Date.now();
    if ((got += b.length) >= n) end();
  });
  s.on('end', () => end('EOF'));
  s.on('error', (e) => end(e.code));
}

function send(s, n, done) {
  s.write(Buffer.alloc(n));
  receive(s, 1, done);
}

if (port === 'name') {
  const began = Date.now();
  dns.lookup(how, { all: true, verbatim: true }, (e, list) => out(e ? e.code : list.map((x) => x.address).join(' ') + late(began)));
} else {
  const up = how === 'up', n = Number(bytes), said = [];
  const ends = {};
  const tell = (who) => (text) => {
    ends[who] = text;
    if ('server' in ends && 'client' in ends) out(`server: ${said.concat(ends.server).join(' ')}; client:${ends.client}`);
  };
  let accepted = false;
  const server = net.createServer((s) => {
    accepted = true;
    (up ? receive : send)(s, n, (text) => { tell('server')(text); s.end(); });
  });
  server.on('error', (e) => (server.listening ? said.push(e.code) : out(e.code)));
  server.listen(port, '127.0.0.1', () => {
    const began = Date.now();
    let connected = null;
    const c = net.connect(port, '127.0.0.1', () => {
      connected = late(began);
      (up ? send : receive)(c, n, (text) => {
        setTimeout(() => { if (!accepted) tell('server')('none'); }, 500); // libuv closes what it has no descriptor for
        tell('client')(connected + ' ' + text);
        c.end();
      });
    });
    c.on('error', (e) => { if (connected === null) out('connect: ' + e.code + late(began)); });
  });
}
