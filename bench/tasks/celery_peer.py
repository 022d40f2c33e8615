"""Celery with Redis: sends no-op tasks, or has a worker do them. Says tasks a second as a line."""

import subprocess
import sys
import time

from celery import Celery

url = sys.argv[1] if __name__ == "__main__" else __import__("os").environ["CELERY_URL"]
results = "results" in sys.argv or "CELERY_RESULTS" in __import__("os").environ
app = Celery("celery_peer", broker=url, backend=url if results else None)
app.conf.update(task_ignore_result=not results, worker_prefetch_multiplier=10, worker_hijack_root_logger=False)


@app.task(name="work")
def work(a, b):
    return a + b


def main():
    _, _, what, count = sys.argv[:4]
    count = int(count)
    start = time.perf_counter()
    for place in range(count):
        work.delay(place, 2)
    if what == "send":
        print(count / (time.perf_counter() - start), flush=True)
        app.control.purge()
        return
    import os

    pool = ["-P", "prefork", "-c", "2"] if what == "prefork" else ["-P", "threads", "-c", "10"]
    args = [sys.executable, "-m", "celery", "-A", "celery_peer", "worker", "-l", "CRITICAL", *pool]
    args += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    env = {**os.environ, "CELERY_URL": url, **({"CELERY_RESULTS": "1"} if results else {})}
    worker = subprocess.Popen(args, env=env, cwd=os.path.dirname(os.path.abspath(__file__)),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with app.connection_for_read() as connection:
            redis = connection.default_channel.client
            left = lambda: redis.llen("celery") + redis.hlen("unacked")
            # The start of the worker is none of the work.
            while left() == count and redis.hlen("unacked") == 0:
                time.sleep(0.001)
            start = time.perf_counter()
            while left() > 0:
                time.sleep(0.005)
            print(count / (time.perf_counter() - start), flush=True)
    finally:
        worker.terminate()
        worker.wait()


if __name__ == "__main__":
    main()
