// Receivers made of published libraries, the one named by RECEIVER. Each leaves every decision to
// its library. Prints its port, then appends one line per callback to the file named by ARRIVALS:
// the event's id, its kind, and the cost of its call, or `refused` and why.

const crypto = require('crypto');
const express = require('express');
const fs = require('fs');

const secret = process.env.WEBHOOK_SECRET;
const raw = express.raw({ type: () => true });

class Refused extends Error {}

// The receiver that the Vobiz guide prints for Express: it verifies over the body as it prints it
// again, within five minutes. timingSafeEqual throws on different lengths, as it does there.
function vobizGuide(request) {
  const signature = request.headers['x-vobiz-signature'];
  const timestamp = request.headers['x-vobiz-timestamp'];
  if (!signature || !timestamp) throw new Refused('a header is missing');
  const now = Math.floor(Date.now() / 1000);
  if (Math.abs(now - parseInt(timestamp)) > 300) throw new Refused('the timestamp is too old');
  const payload = timestamp + '.' + JSON.stringify(request.body);
  const expected = crypto.createHmac('sha256', secret).update(payload).digest('hex');
  if (!crypto.timingSafeEqual(Buffer.from(signature), Buffer.from(expected))) {
    throw new Refused('the signature differs');
  }
  return request.body;
}

// How Express applications keep the raw body beside the parsed one: the hook is given the bytes
// after they were unpacked.
const keep = { verify: (request, _response, bytes) => (request.raw = bytes) };

function hex(request) {
  const expected = crypto.createHmac('sha256', secret).update(request.raw).digest('hex');
  const given = Buffer.from(request.headers['x-vos3000-signature'] ?? '');
  if (given.length !== 64 || !crypto.timingSafeEqual(given, Buffer.from(expected))) {
    throw new Refused('the signature differs');
  }
  return request.body;
}

const receivers = {
  'express-vobiz': { parse: express.json(), read: vobizGuide },
  'express-json': { parse: express.json(keep), read: hex },
  'express-form': { parse: express.urlencoded({ extended: true, ...keep }), read: hex },
  // The fields of a GET: the signature is over the whole address.
  'express-get': {
    parse: (_request, _response, next) => next(),
    read: (request) => {
      const qs = require('qs');
      const url = `${request.protocol}://${request.get('host')}${request.originalUrl}`;
      request.raw = Buffer.from(url);
      request.body = qs.parse(request.originalUrl.split('?')[1]);
      return hex(request);
    },
  },
  standardwebhooks: {
    parse: raw,
    read: (request) => {
      const { Webhook } = require('standardwebhooks');
      return new Webhook(secret).verify(request.body, request.headers);
    },
  },
  stripe: {
    parse: raw,
    read: (request) => {
      const stripe = require('stripe')('sk_test_none');
      return stripe.webhooks.constructEvent(
        request.body,
        request.headers['stripe-signature'],
        secret,
      );
    },
  },
  github: {
    parse: raw,
    read: async (request) => {
      const { verify } = await import('@octokit/webhooks-methods');
      const body = request.body.toString('utf8');
      if (!(await verify(secret, body, request.headers['x-hub-signature-256']))) {
        throw new Refused('verify said no');
      }
      return JSON.parse(body);
    },
  },
  cloudevents: {
    parse: raw,
    read: (request) => {
      const { CloudEvent, HTTP } = require('cloudevents');
      const body = request.body.toString('utf8');
      const event = HTTP.toEvent({ headers: request.headers, body });
      if (!(event instanceof CloudEvent) || !event.validate()) throw new Refused('no CloudEvent');
      if (event.source !== '/switchhook/vos-1') throw new Refused(`source ${event.source}`);
      return event;
    },
  },
};

const { parse, read } = receivers[process.env.RECEIVER];
const app = express();
app.disable('x-powered-by');
app.use(parse, async (request, response) => {
  let line;
  try {
    const body = await read(request);
    const data = body.data ?? body;
    const id = body.id ?? data.event_id ?? data.id;
    line = `${id} ${body.type ?? body.event ?? body.Event} ${data.cost}`;
    if (process.env.EXPECT_ENCODING) {
      const encoding = request.headers['content-encoding'] ?? 'none';
      if (encoding !== process.env.EXPECT_ENCODING) line = `refused: encoding ${encoding}`;
    }
  } catch (error) {
    line = `refused: ${error.name}: ${error.message}`.replaceAll('\n', ' ');
  }
  fs.appendFileSync(process.env.ARRIVALS, line + '\n');
  if (line.startsWith('refused')) response.status(401).json({ error: 'Invalid signature' });
  else response.status(200).json({ status: 'received' });
});
app.use((error, _request, response, _next) => {
  fs.appendFileSync(process.env.ARRIVALS, `refused: ${error.message}\n`);
  response.status(400).end();
});
app.listen(0, '127.0.0.1', function () {
  console.log(this.address().port);
});
