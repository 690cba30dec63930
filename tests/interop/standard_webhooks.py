"""A receiver that leaves every decision to the official Standard Webhooks library for Python.

Prints its port, then appends one line per callback to the file named by ARRIVALS: the event's id
and type where the library accepted it, `refused` where it did not.
"""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["WEBHOOK_SECRET"])


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            event = webhook.verify(body, dict(self.headers))
            status, line = 200, f"{event['data']['id']} {event['type']} {event['data']['cost']}"
        except WebhookVerificationError as error:
            status, line = 401, f"refused {error}"
        with open(os.environ["ARRIVALS"], "a") as arrivals:
            arrivals.write(line + "\n")
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_address[1], flush=True)
server.serve_forever()
