"""`make up`: from a fresh clone to an answer. Every step is kept; a second run starts in seconds."""

import os
import signal
import socket
import subprocess
import sys

from demo_site import CHAT, EMBED, HOME, Enclave, Failed, build_bundle, ceremony, collect, say, shown

PORT = int(os.environ.get("HERMETIC_PORT", "8080"))


def refuse_busy_port():
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError:
            raise Failed(f"port {PORT} on 127.0.0.1 is in use; choose another: HERMETIC_PORT=8090 make up") from None


def introduce(enclave, key):
    url = enclave.base_url
    print(f"""
  Base URL   {url}
  API key    {key}
  Models     {CHAT} (chat), {EMBED} (embeddings)

  Ask (it is a very small model):
    curl -N {url}/chat/completions -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\
      -d '{{"model":"{CHAT}","stream":true,"messages":[{{"role":"user","content":"What is a ledger?"}}]}}'

  From Python (pip install openai):
    python3 -c "from openai import OpenAI; c = OpenAI(base_url='{url}', api_key='{key}'); \\
      print(c.chat.completions.create(model='{CHAT}', messages=[{{'role':'user','content':'Hello'}}]).choices[0].message.content)"

  Prove an answer (the id is in the header x-request-id):
    export HERMETIC_CONFIG={shown(enclave.config)}
    target/release/hermetic audit tail
    target/release/hermetic audit prove REQUEST_ID --out proof

  Ledger     {shown(enclave.folder)}/state/ledger
  Manual     http://127.0.0.1:{PORT}/manual, or target/release/hermetic manual

  Ctrl-C stops it. `make up` starts it again in seconds, `make clean-demo` forgets everything.
""", flush=True)


def main():
    refuse_busy_port()
    collect()
    ceremony()
    build_bundle()
    enclave = Enclave(HOME / "enclave", PORT)
    enclave.configure()
    enclave.admit()
    key = enclave.api_key()
    say("serve", "loading the models")
    # Its own process group: Ctrl-C reaches this script alone, which then asks the server to drain.
    serving = enclave.serve(start_new_session=True)
    try:
        enclave.wait_until_ready(serving)
        introduce(enclave, key)
        code = serving.wait()
        raise Failed(f"`hermetic serve` ended by itself (exit {code}); its messages are above")
    except KeyboardInterrupt:
        say("stop", "finishing open requests")
    finally:
        stop(serving)
    say("stop", "done")


def stop(serving):
    if serving.poll() is None:
        serving.send_signal(signal.SIGTERM)
        try:
            serving.wait(timeout=45)
        except subprocess.TimeoutExpired:
            serving.kill()
            serving.wait()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    try:
        main()
    except Failed as failed:
        sys.exit(f"\nmake up stopped: {failed}")
    except KeyboardInterrupt:
        sys.exit("\nstopped; run `make up` again to go on from here")
