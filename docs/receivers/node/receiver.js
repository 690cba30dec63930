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
const secrets = require('node:fs').readFileSync(SECRET_FILE, 'utf8').split(/\r?\n/).filter(Boolean);
if (secrets.length === 0) throw new Error(`${SECRET_FILE} holds no secret`);

// Compares in a time that does not tell where two signatures differ.
function same(given, expected) {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && crypto.timingSafeEqual(a, b);
}

// Whether a holder of a secret sent exactly these bytes, lately.
function isSigned(request, body) {
  const hmac = (key, ...parts) => parts.reduce((mac, part) => mac.update(part), crypto.createHmac('sha256', key));
  if (PROFILE === 'standard') {
    const id = request.get('webhook-id') ?? '';
    const time = request.get('webhook-timestamp') ?? '';
    const given = (request.get('webhook-signature') ?? '').split(' ');
    if (!/^\d+$/.test(time) || Math.abs(Date.now() / 1000 - Number(time)) > WINDOW_SECONDS) return false;
    return secrets.some(secret => {
      const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
      const expected = 'v1,' + hmac(key, `${id}.${time}.`, body).digest('base64');
      return given.some(signature => same(signature, expected));
    });
  }
  const given = request.get('x-vos3000-signature') ?? '';
  return secrets.some(secret => same(given, hmac(secret, body).digest('hex')));
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
  if (!isSigned(request, body)) return refuse(response, 401, 'the signature does not match');
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

const server = app.listen(Number(PORT), '127.0.0.1', () => console.log(`listening on ${server.address().port}`));
