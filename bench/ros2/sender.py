"""rclpy as the sender of a benchmark: sender.py <topic> <type> <bytes> <hz, 0: as fast as it can> <seconds> <reliable: 0|1> [eager]

Waits for a subscription, sends, and prints as JSON how many it sent. Texts begin with the time of sending, ns.
"""
import importlib
import json
import sys
import time

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

topic, type_name, size, hz, seconds, reliable = sys.argv[1:7]
eager = len(sys.argv) > 7
size, hz, seconds = int(size), float(hz), float(seconds)
package, folder, name = type_name.split("/")
Message = getattr(importlib.import_module(f"{package}.{folder}"), name)

rclpy.init()
node = Node(f"sender_{topic.strip('/').replace('/', '_')}")
reliability = ReliabilityPolicy.RELIABLE if reliable == "1" else ReliabilityPolicy.BEST_EFFORT
publisher = node.create_publisher(Message, topic, QoSProfile(depth=10, reliability=reliability))
message = Message()
if name == "Image":
    message.data = bytes(size)
elif name == "PointCloud2":
    message.data = bytes(size)
elif name == "String":
    filling = "x" * max(0, size - 20)


def fill():
    now = time.time_ns()
    if name == "String":
        message.data = f"{now:020d}{filling}"
    elif hasattr(message, "header"):
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(now, 1_000_000_000)


print(json.dumps({"up": True}), flush=True)
while publisher.get_subscription_count() == 0:
    time.sleep(0.005)
if not eager:
    # The other side may not have found us yet.
    time.sleep(0.5)
    print(json.dumps({"matched": True}), flush=True)
start = time.monotonic()
sent = 0
while time.monotonic() - start < seconds:
    if hz > 0:
        wait = start + sent / hz - time.monotonic()
        if wait > 0:
            time.sleep(wait)
    fill()
    publisher.publish(message)
    sent += 1
took = time.monotonic() - start
print(json.dumps({"sent": sent, "seconds": took}), flush=True)
time.sleep(1)
