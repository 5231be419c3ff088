// A Node server of numbered pages: pages.js PORT.
require('http').createServer((q, r) => {
  r.end('page ' + q.url.slice(1) + '\n')
}).listen({ port: +process.argv[2], host: '127.0.0.1', backlog: 200 })
