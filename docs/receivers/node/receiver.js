// A receiver for switchhook's callbacks. Node 18 or newer and Express 4 or 5.
//
//   SECRET_FILE  a file with the secret; during a rotation two, one a line
//   PROFILE      vos3000 (default) or standard
//   INBOX        a directory this process may write to, on a local disk
//   PORT         8080
//
//   npm install && SECRET_FILE=secret INBOX=inbox node receiver.js
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs/promises');
const path = require('node:path');
const express = require('express');

const WINDOW_SECONDS = 300;
const { SECRET_FILE, INBOX, PROFILE = 'vos3000', PORT = '8080' } = process.env;
if (!SECRET_FILE) stop('set SECRET_FILE to a file with the secret of the endpoint');
if (!isDirectory(INBOX)) stop(`set INBOX to an existing directory, not ${INBOX}`);
if (!['vos3000', 'standard'].includes(PROFILE)) stop(`PROFILE is vos3000 or standard, not ${PROFILE}`);
const secrets = readSecrets();

function stop(text) {
  console.error(text);
  process.exit(64);
}

function isDirectory(name) {
  return Boolean(name) && require('node:fs').statSync(name, { throwIfNoEntry: false })?.isDirectory();
}

function readSecrets() {
  try {
    const found = require('node:fs').readFileSync(SECRET_FILE, 'utf8').split(/\r?\n/).filter(Boolean);
    return found.length ? found : stop(`${SECRET_FILE} holds no secret`);
  } catch (error) {
    return stop(`SECRET_FILE: ${error.message}`);
  }
}

// Compares in a time that does not tell where two signatures differ.
function same(given, expected) {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && crypto.timingSafeEqual(a, b);
}

// The key behind a secret: of `standard` the bytes behind its Base64, of `vos3000` its text.
function keyOf(secret) {
  const isBase64 = PROFILE === 'standard' && secret.startsWith('whsec_');
  return isBase64 ? Buffer.from(secret.slice('whsec_'.length), 'base64') : secret;
}

// Why it is not to be believed that a holder of a secret sent exactly these bytes, lately; '' if it is.
function whyNot(request, body) {
  const mismatch = 'no signature matches: compare the secret and the profile';
  const hmac = (key, ...parts) => parts.reduce((mac, part) => mac.update(part), crypto.createHmac('sha256', key));
  if (PROFILE === 'standard') {
    const id = request.get('webhook-id') ?? '';
    const time = request.get('webhook-timestamp') ?? '';
    const given = (request.get('webhook-signature') ?? '').split(' ');
    if (!/^\d+$/.test(time) || Math.abs(Date.now() / 1000 - Number(time)) > WINDOW_SECONDS) {
      return 'the timestamp is missing or more than 300 s off: compare the clocks';
    }
    const isSigned = secrets.some(secret => {
      const expected = 'v1,' + hmac(keyOf(secret), `${id}.${time}.`, body).digest('base64');
      return given.some(signature => same(signature, expected));
    });
    return isSigned ? '' : mismatch;
  }
  const given = request.get('x-vos3000-signature') ?? '';
  return secrets.some(secret => same(given, hmac(keyOf(secret), body).digest('hex'))) ? '' : mismatch;
}

// Writes the body under its id, durably; false when that id is there already.
async function store(id, body) {
  const unfinished = path.join(INBOX, `.unfinished-${crypto.randomUUID()}`);
  const file = await fs.open(unfinished, 'wx', 0o600);
  try {
    await file.writeFile(body);
    await file.sync();
    // A link is made whole or not at all, and not where the name is taken: two repeats that come at
    // the same moment are told apart by the file system.
    await fs.link(unfinished, path.join(INBOX, `${id}.json`));
    const directory = await fs.open(INBOX);
    await directory.sync();
    await directory.close();
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  } finally {
    await file.close();
    await fs.unlink(unfinished);
  }
}

const app = express();
app.disable('x-powered-by');
// The raw bytes: a parsed and printed body has another signature.
app.use('/webhook', express.raw({ type: () => true, limit: '1mb', inflate: false }));

app.post('/webhook', async (request, response) => {
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  const problem = whyNot(request, body);
  if (problem) return refuse(response, 401, problem);
  let id;
  try {
    const event = JSON.parse(body.toString('utf8'));
    id = PROFILE === 'standard' ? request.get('webhook-id') : event.id;
  } catch {
    return refuse(response, 400, 'no JSON');
  }
  if (typeof id !== 'string' || !/^[A-Za-z0-9_-]{1,128}$/.test(id)) return refuse(response, 400, 'no id');
  try {
    response.json({ status: (await store(id, body)) ? 'received' : 'known' });
  } catch (error) {
    refuse(response, 503, `not stored: ${error.code}`);
  }
});
app.all('/webhook', (request, response) => refuse(response.set('Allow', 'POST'), 405, 'callbacks come by POST'));
app.use((request, response) => refuse(response, 404, 'callbacks are taken at /webhook'));
app.use((error, request, response, next) => refuse(response, error.status ?? 500, error.type ?? 'a bug'));

function refuse(response, status, text) {
  console.error(`callback refused: ${status} ${text}`);
  response.status(status).json({ error: text });
}

const server = app.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`listening on 127.0.0.1:${server.address().port}, profile ${PROFILE}`);
});
