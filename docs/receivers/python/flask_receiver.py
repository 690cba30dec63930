"""The receiver with Flask 2 or 3. callbacks.py beside it says what to set.

  pip install flask gunicorn
  SECRET_FILE=secret INBOX=inbox gunicorn --workers 2 --bind 127.0.0.1:8080 flask_receiver:app

`python flask_receiver.py` serves it on PORT (8080) for a try.
"""

import os

from flask import Flask, jsonify, request

import callbacks

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = callbacks.BODY_BYTES_MAX


@app.post("/webhook")
def webhook():
    # The raw bytes: a parsed and printed body has another signature. Too long a one ends in 413 here.
    body = request.get_data(cache=False)
    status, answer = callbacks.take(request.headers, body)
    return jsonify(answer), status


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "8080")), threaded=True)
