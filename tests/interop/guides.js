// Receivers as the published guides print them for Node, for the profile named by PROFILE. Every
// body must also be what JSON.stringify(JSON.parse(body)) gives. Prints its port, then appends one
// line per callback to the file named by ARRIVALS.

const crypto = require('crypto');
const fs = require('fs');
const http = require('http');

const secret = process.env.WEBHOOK_SECRET;
const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
const hmac = (over, by = secret) => crypto.createHmac('sha256', by).update(over);

function equal(a, b) {
  const [x, y] = [Buffer.from(a ?? ''), Buffer.from(b)];
  return x.length === y.length && crypto.timingSafeEqual(x, y);
}

// The Vobiz guide: over the body as it prints it again, within five minutes.
function vobiz(headers, body) {
  const timestamp = headers['x-vobiz-timestamp'];
  if (Math.abs(Date.now() / 1000 - parseInt(timestamp)) > 300) return false;
  const printed = JSON.stringify(JSON.parse(body));
  return equal(headers['x-vobiz-signature'], hmac(`${timestamp}.${printed}`).digest('hex'));
}

function standard(headers, body) {
  const over = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  return equal(headers['webhook-signature'], 'v1,' + hmac(over, key).digest('base64'));
}

const checks = {
  standard,
  cloudevents: standard,
  vobiz,
  'vobiz-voice': vobiz,
  vos3000: (headers, body) => equal(headers['x-vos3000-signature'], hmac(body).digest('hex')),
  voipbin: (headers, body) =>
    equal(headers['x-voipbin-signature'], 'sha256=' + hmac(body).digest('hex')),
};

// The event's own id, and the cost of its call, where the profile has them.
const places = {
  standard: (event) => [event.data.id, event.data.cost, event.type === 'cdr'],
  cloudevents: (event) => [event.id, event.data.cost, event.specversion === '1.0'],
  vobiz: (event) => [event.id, event.cost, event.event === 'call.completed'],
  'vobiz-voice': (event) => [event.id, event.cost, event.Event === 'Hangup'],
  vos3000: (event) => [event.id, event.data.cost, event.event === 'cdr'],
  voipbin: (event) => [event.data.event_id, event.data.cost, event.type === 'call_hangup'],
};

// Readers that do not tell cases apart must find no key twice.
function noKeyTwice(value) {
  if (value === null || typeof value !== 'object') return true;
  const keys = Object.keys(value).map((name) => name.toLowerCase());
  return new Set(keys).size === keys.length && Object.values(value).every(noKeyTwice);
}

const profile = process.env.PROFILE;
http
  .createServer((request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      const raw = Buffer.concat(parts);
      const body = raw.toString('utf8');
      let line = 'refused';
      if (!Buffer.from(JSON.stringify(JSON.parse(body))).equals(raw)) {
        line = `refused: printed again it differs: ${body}`;
      } else if (!noKeyTwice(JSON.parse(body))) {
        line = `refused: a key twice: ${body}`;
      } else if (checks[profile](request.headers, body)) {
        const [id, cost, named] = places[profile](JSON.parse(body));
        line = named ? `${id} cdr ${cost}` : `refused: its name: ${body}`;
      }
      fs.appendFileSync(process.env.ARRIVALS, line + '\n');
      response.writeHead(line.startsWith('refused') ? 401 : 200).end();
    });
  })
  .listen(0, '127.0.0.1', function () {
    console.log(this.address().port);
  });
