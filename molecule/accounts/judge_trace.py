"""Have the server judge a trace in a job, and print as JSON what became of it.

Runs on the server under the Python that has MLflow, as a user.  The model is a stand-in, for a real one can't be had
here: it listens where Ollama would, and says yes to all that it is asked.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import mlflow
from mlflow.genai.scorers import Guidelines
from mlflow.tracking._tracking_service.utils import _get_store
from mlflow.utils.rest_utils import http_request

OLLAMA = ("127.0.0.1", 11434)
SECONDS = 180


class Model(BaseHTTPRequestHandler):
    """Answers as OpenAI's API of chats does, which Ollama has too."""

    def do_POST(self) -> None:
        """Say yes."""
        self.rfile.read(int(self.headers["Content-Length"]))
        content = json.dumps({"result": "yes", "rationale": "It says hello."})
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
        used = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        told = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": used}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_given: object) -> None:
        """Say nothing of the requests."""


def main() -> None:
    """Log a trace, submit the job, wait for its end, and print its status and the trace's assessments."""
    model = ThreadingHTTPServer(OLLAMA, Model)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    experiment = mlflow.set_experiment("judged").experiment_id
    with mlflow.start_span("greet") as span:
        span.set_inputs({"question": "hello?"})
        span.set_outputs("hello!")
    mlflow.flush_trace_async_logging()
    trace = mlflow.get_last_active_trace_id()

    scorer = Guidelines(name="polite", guidelines=["say hello"], model="ollama:/any").model_dump()
    params = {"experiment_id": experiment, "serialized_scorer": json.dumps(scorer), "trace_ids": [trace]}
    server = _get_store().get_host_creds()
    job = http_request(server, "/ajax-api/3.0/jobs/", "POST", json={"job_name": "invoke_scorer", "params": params})
    if not job.ok:
        raise SystemExit(job.text)
    end = time.monotonic() + SECONDS
    while True:
        told = http_request(server, f"/ajax-api/3.0/jobs/{job.json()['job_id']}", "GET").json()
        if told["status"] not in ("PENDING", "RUNNING") or time.monotonic() > end:
            break
        time.sleep(1)
    judged = {found.name: found.value for found in mlflow.get_trace(trace).info.assessments}
    print(json.dumps({"status": told["status"], "result": told["result"], "judged": judged}))


if __name__ == "__main__":
    main()
