// Node's dgram, on libuv: sockets that are bound, connected and neither, a burst, a group.
// What it prints is the same on every system.
const dgram = require('dgram');

const socket = type => dgram.createSocket(type);
const bound = (s, port, address) => new Promise(ok => s.bind(port, address, ok));
const message = s => new Promise(ok => s.once('message', (m, from) => ok([String(m), from])));
const sent = (s, ...args) => new Promise((ok, no) => s.send(...args, e => e ? no(e) : ok()));
const connected = (s, port, address) => new Promise((ok, no) => s.connect(port, address, e => e ? no(e) : ok()));

async function echo(type, address) {
  const server = socket(type), client = socket(type);
  await bound(server, 0, address);
  const {port} = server.address();
  server.on('message', (m, from) => server.send(m, from.port, from.address));
  let answer = message(client);
  await sent(client, 'unconnected', port, address);
  console.log(type, ...(await answer).map(x => x.address || x));

  await connected(client, port, address);
  answer = message(client);
  await sent(client, ['con', 'nected']);
  console.log(type, (await answer)[0], client.remoteAddress().port === port);
  try { await sent(client, 'x', port, address); } catch (e) { console.log(type, e.code); }
  try { await sent(client, Buffer.alloc(65508)); } catch (e) { console.log(type, e.code); }
  client.disconnect();
  try { client.remoteAddress(); } catch (e) { console.log(type, e.code); }
  answer = message(client);
  await sent(client, Buffer.alloc(60000, 7), port, address);
  console.log(type, (await answer)[0].length);

  // A hundred at once: none of them is lost, and they keep their order.
  let n = 0;
  const all = new Promise(ok => client.on('message', m => {
    if (String(m) !== String(n)) throw new Error(`${m} instead of ${n}`);
    if (++n === 100) ok();
  }));
  for (let i = 0; i < 100; i++) client.send(String(i), port, address);
  await all;
  console.log(type, n);
  client.close();
  server.close();
}

async function options() {
  const s = socket({type: 'udp4', reuseAddr: true}), t = socket({type: 'udp4', reuseAddr: true});
  await bound(s, 0);
  await bound(t, s.address().port);
  s.setTTL(9);
  s.setBroadcast(true);
  s.setMulticastTTL(3);
  s.setMulticastLoopback(true);
  s.setMulticastInterface('127.0.0.1');
  s.addMembership('239.1.2.3', '127.0.0.1');
  t.addMembership('239.1.2.3', '127.0.0.1');
  s.setRecvBufferSize(8192);
  s.setSendBufferSize(8192);
  console.log('buffers', s.getRecvBufferSize(), s.getSendBufferSize());
  const both = Promise.all([message(s), message(t)]);
  await sent(s, 'to all', s.address().port, '239.1.2.3');
  console.log((await both).map(x => x[0]).join());
  s.dropMembership('239.1.2.3', '127.0.0.1');
  try { s.dropMembership('239.1.2.3', '127.0.0.1'); } catch (e) { console.log(e.code); }
  const taken = socket('udp4');
  taken.on('error', e => { console.log(e.code); taken.close(); });
  await new Promise(ok => { taken.on('close', ok); taken.bind(s.address().port); });
  s.close();
  t.close();
}

async function refused() {
  const s = socket('udp4'), gone = socket('udp4');
  await bound(gone, 0, '127.0.0.1');
  const {port} = gone.address();
  await new Promise(ok => gone.close(ok));
  await connected(s, port, '127.0.0.1');
  const error = new Promise(ok => s.on('error', ok));
  s.send('nobody', () => {});
  console.log((await error).code, (await error).syscall);
  s.close();
}

(async () => {
  await echo('udp4', '127.0.0.1');
  await echo('udp6', '::1');
  await options();
  await refused();
})();
