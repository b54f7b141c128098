// A host in Node: better-sqlite3 (a path to it), or Node's own node:sqlite.
//
// Usage: node_driver.js PACKAGE MODULE; then one request a line, as ../hosts.py sends them.
'use strict';
const readline = require('readline');

const [, , packageName, modulePath] = process.argv;
const library = require(packageName);
const isOwn = packageName === 'node:sqlite';
const connections = new Map();

function connect(path) {
  if (!isOwn) return new library(path);
  return new library.DatabaseSync(path.startsWith('file:') ? new URL(path) : path, {allowExtension: true});
}

function load() {
  const connection = connect(':memory:');
  connection.loadExtension(modulePath);
  return connection;
}

function query(connection, sql) {
  const statement = connection.prepare(sql);
  if (!isOwn && !statement.reader) return statement.run() && null;
  return Object.values(statement.get() ?? {})[0] ?? null;
}

function answer(verb, name, text) {
  if (verb === 'load') connections.set(name, load());
  else if (verb === 'open') connections.set(name, connect(text));
  else if (verb === 'close') connections.get(name).close();
  else return query(connections.get(name), text);
  return null;
}

readline.createInterface({input: process.stdin}).on('line', (line) => {
  let reply;
  try {
    reply = {value: answer(...JSON.parse(line))};
  } catch (error) {
    reply = {error: String(error.message)};
  }
  process.stdout.write(JSON.stringify(reply) + '\nend of answer\n');
});
