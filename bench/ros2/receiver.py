"""rclpy as the receiver of a benchmark: receiver.py <topic> <type> <seconds>. Prints count, median latency and CPU as JSON."""
import importlib
import json
import resource
import sys
import time

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

topic, type_name, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
package, folder, name = type_name.split("/")
Message = getattr(importlib.import_module(f"{package}.{folder}"), name)
latencies = []
first = last = None


def hear(message):
    global first, last
    now = time.time_ns()
    last = time.monotonic()
    first = first or last
    if name == "String":
        latencies.append(now - int(message.data[:20]))
    else:
        latencies.append(now - (message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec))


rclpy.init()
node = Node("receiver_" + topic.strip("/"))
node.create_subscription(Message, topic, hear, QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT))
executor = SingleThreadedExecutor()
executor.add_node(node)
print(json.dumps({"ready": True}), flush=True)
end = time.monotonic() + seconds
while time.monotonic() < end:
    executor.spin_once(timeout_sec=0.1)
usage = resource.getrusage(resource.RUSAGE_SELF)
latencies.sort()
print(json.dumps({
    "count": len(latencies),
    "seconds": (last - first) if first else 0,
    "p50Ms": latencies[len(latencies) // 2] / 1e6 if latencies else None,
    "cpuSeconds": usage.ru_utime + usage.ru_stime,
}), flush=True)
