"""Receivers of notifications, built on other people's libraries: `receivers.py webhook|hl7|fhir ANSWER...`.

Prints the port that it listens on, then a line of JSON for each message: what the library made of it. The answers are given one after
the other, the last one for ever: for HTTP a status, `drop` (hangs up), `hang`, `gone:SECONDS` (429 with Retry-After); for HL7 a code
of MSA-1, `wrong` (acknowledges another message), `drop`, `hang`. Secrets of the webhook come from the environment, TABLESIDE_SECRET.
"""

import http.server
import json
import os
import socket
import socketserver
import sys
import threading
import time

mode, answers = sys.argv[1], sys.argv[2:]
lock = threading.Lock()


def next_answer():
    with lock:
        return answers.pop(0) if len(answers) > 1 else answers[0]


def tell(**said):
    with lock:
        print(json.dumps(said), flush=True)


def read_webhook(body, headers):
    from standardwebhooks.webhooks import Webhook

    event = Webhook(os.environ["TABLESIDE_SECRET"]).verify(body, headers)
    return {"id": headers["webhook-id"], "event": event}


def read_bundle(body, headers):
    from fhir.resources.R4B.bundle import Bundle

    bundle = Bundle.model_validate_json(body)
    return {"bundle": json.loads(bundle.model_dump_json())}


class Http(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = next_answer()
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            read = read_webhook if mode == "webhook" else read_bundle
            tell(answer=answer, **read(body, headers))
        except Exception as error:
            tell(answer=answer, error=repr(error))
        if answer == "drop":
            return self.connection.shutdown(socket.SHUT_RDWR)
        if answer == "hang":
            return time.sleep(3600)
        if answer.startswith("gone:"):
            self.send_response(429)
            self.send_header("Retry-After", answer[5:])
        else:
            self.send_response(int(answer))
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


class Mllp(socketserver.StreamRequestHandler):
    def handle(self):
        from hl7apy.consts import VALIDATION_LEVEL
        from hl7apy.parser import parse_message

        message = b""
        while not message.endswith(b"\x1c\r"):
            part = self.request.recv(4096)
            if not part:
                return
            message += part
        text = message.strip(b"\x0b\x1c\r").decode("utf-8")
        answer = next_answer()
        try:
            parsed = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT, find_groups=True)
            parsed.validate()
            identifier = parsed.msh.msh_10.to_er7()
            segments = text.split("\r")
            tell(answer=answer, id=identifier, segments=segments)
        except Exception as error:
            tell(answer=answer, error=repr(error), text=text)
            return
        if answer == "drop":
            return
        if answer == "hang":
            time.sleep(3600)
        code, acknowledged = ("AA", "another") if answer == "wrong" else (answer, identifier)
        reply = f"MSH|^~\\&|HIS|WARD|TABLESIDE||20261129120000||ACK^R01^ACK|1|P|2.5.1\rMSA|{code}|{acknowledged}|said so\r"
        self.request.sendall(b"\x0b" + reply.encode() + b"\x1c\r")


class Mllps(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


if mode == "hl7":
    server = Mllps(("127.0.0.1", 0), Mllp)
else:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Http)
print(server.server_address[1], flush=True)
server.serve_forever()
