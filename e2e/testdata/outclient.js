// outclient FOUR SIX, or outclient NAME - connects with Node's Happy Eyeballs.
const net = require('net')
const [four, six] = process.argv.slice(2)
const lookup = (host, options, done) => done(null, [{ address: six, family: 6 }, { address: four, family: 4 }])
const to = six ? { host: 'both', lookup } : { host: four }
const s = net.connect({ ...to, port: 7001, autoSelectFamily: true, autoSelectFamilyAttemptTimeout: 400 }, () => s.write('hello'))
s.on('data', (d) => { console.log('node', String(d), s.remoteAddress); s.destroy() })
s.on('error', (e) => { console.log('node', e.code, e.message); process.exitCode = 1 })
