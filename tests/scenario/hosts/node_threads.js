// Node as a host that does more at a time: one worker thread speaks TLS with Node's own OpenSSL before the
// server of the main thread, which the main thread follows with the module's OpenSSL; another one writes, and
// is ended with its connection open; at last the process ends with everything open.
//
// Usage: node_threads.js BETTER_SQLITE3 MODULE DIRECTORY (with here.pem and here.key); prints one line of JSON.
'use strict';
const assert = require('assert');
const fs = require('fs');
const https = require('https');
const net = require('net');
const path = require('path');
const tls = require('tls');
const {once} = require('events');
const {Worker, isMainThread, parentPort, workerData} = require('worker_threads');

const [, , packageName, modulePath, directory] = process.argv;
const inDirectory = (name) => path.join(directory, name);
const value = (connection, sql, ...values) => connection.prepare(sql).pluck().get(...values);

function serveTls(port) {
  const certificate = {cert: fs.readFileSync(inDirectory('here.pem')), key: fs.readFileSync(inDirectory('here.key'))};
  const server = tls.createServer(certificate, (client) => {
    const target = net.connect(port, '127.0.0.1');
    client.on('error', () => target.destroy()).pipe(target).on('error', () => client.destroy()).pipe(client);
  });
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
}

function write() {
  const connection = new (require(packageName))(inDirectory('app.db'));
  for (let i = 0; i < 100; i++) connection.prepare('INSERT INTO t VALUES(?)').run(i);
  parentPort.postMessage('written');
  setInterval(() => {}, 1000);  // until it is ended
}

async function worker(task) {
  const thread = new Worker(__filename, {argv: process.argv.slice(2), workerData: task});
  return {thread, said: (await once(thread, 'message'))[0]};
}

async function isWell(port) {
  const request = https.get({port, host: '127.0.0.1', path: '/healthz', ca: fs.readFileSync(inDirectory('here.pem'))});
  const [response] = await once(request, 'response');
  response.resume();
  await once(response, 'end');
  return response.statusCode === 200;
}

async function main() {
  const library = require(packageName);
  const loader = new library(':memory:');
  loader.loadExtension(modulePath);
  value(loader, 'SELECT litestream_set_default_vfs(1)');
  const app = new library(inDirectory('app.db'));
  value(app, 'SELECT litestream_replicate(?)', `file://${inDirectory('backup')}`);
  app.exec('CREATE TABLE t(a)');
  const port = Number(new URL(value(app, "SELECT litestream_serve('127.0.0.1:0')")).port);

  const front = await worker({serves: port});
  assert(await isWell(front.said));
  const replica = new library(inDirectory('replica.db'));
  value(replica, 'SELECT litestream_stream(?)', `https://127.0.0.1:${front.said}/app.db`);
  const writer = await worker({});
  await writer.thread.terminate();
  assert(await isWell(front.said));

  const position = value(app, 'SELECT litestream_sync()');
  const isThere = value(replica, 'SELECT litestream_wait(?, 30)', position);
  value(app, 'SELECT litestream_restore(?, ?)', `file://${inDirectory('backup')}`, inDirectory('restored.db'));
  const rows = [app, replica].map((connection) => value(connection, 'SELECT count(*) FROM t'));
  fs.writeSync(1, JSON.stringify({isThere, rows}));
  process.exit(0);
}

if (isMainThread) main();
else if (workerData.serves) serveTls(workerData.serves);
else write();
