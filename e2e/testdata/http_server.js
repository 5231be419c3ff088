// Node's http server with 100 clients at once.
const http = require('http');

const clients = 100, size = 20000;
const server = http.createServer((request, response) => response.end('x'.repeat(size)));
server.listen(0, '127.0.0.1', () => {
  let answers = 0;
  const port = server.address().port;
  for (let i = 0; i < clients; i++) {
    http.get({host: 'localhost', port, agent: false, family: 4}, (response) => {
      let n = 0;
      response.on('data', (d) => { n += d.length; });
      response.on('end', () => {
        if (n !== size) throw new Error(`${n} bytes`);
        if (++answers === clients) {
          console.log(answers, 'answers');
          server.close();
        }
      });
    });
  }
});
