"""The receiver with FastAPI. callbacks.py beside it says what to set.

  pip install fastapi uvicorn
  SECRET_FILE=secret INBOX=inbox uvicorn --workers 2 --host 127.0.0.1 --port 8080 fastapi_receiver:app
"""

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

import callbacks

app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)


@app.post("/webhook")
async def webhook(request: Request):
    # The raw bytes: a model as the parameter would parse them, and what is printed again has another
    # signature.
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > callbacks.BODY_BYTES_MAX:
            return JSONResponse({"error": "too long"}, 413)
    # The disk is waited for in a thread of its own, so that other requests go on.
    status, answer = await run_in_threadpool(callbacks.take, request.headers, bytes(body))
    return JSONResponse(answer, status)
