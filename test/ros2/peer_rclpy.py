"""A ROS 2 node that sends back what it hears: what comes back went through ROS's own types.

Reads one JSON line a command from standard input, answers with one JSON line:
{"echo": [topic, back, type, reliable]} subscribes and publishes; {"graph": topic} tells who is there.
"""
import importlib
import json
import sys
import threading

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy


def message_class(name):
    package, folder, message = name.split("/")
    return getattr(importlib.import_module(f"{package}.{folder}"), message)


def answer(value):
    print(json.dumps(value), flush=True)


def main():
    rclpy.init()
    node = Node("rclpy_peer")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    threading.Thread(target=executor.spin, daemon=True).start()
    answer({"ready": True})
    for line in sys.stdin:
        command = json.loads(line)
        if "echo" in command:
            topic, back, type_name, reliable = command["echo"]
            reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
            qos = QoSProfile(depth=10, reliability=reliability)
            publisher = node.create_publisher(message_class(type_name), back, qos)
            node.create_subscription(message_class(type_name), topic, publisher.publish, qos)
            answer({"echoes": topic})
        elif "graph" in command:
            infos = node.get_publishers_info_by_topic(command["graph"])
            answer({
                "nodes": [namespace.rstrip("/") + "/" + name for name, namespace in node.get_node_names_and_namespaces()],
                "publishers": [[info.node_name, info.topic_type] for info in infos],
            })


main()
