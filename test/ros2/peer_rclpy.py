"""A ROS 2 node that sends back what it hears: what comes back went through ROS's own types.

Reads one JSON line a command from standard input, answers with one JSON line:
{"echo": [topic, back, type, reliable]} subscribes and publishes; {"graph": topic} tells who is there;
{"serve": name} offers a service that answers with what it is asked; {"call": [name, prefixes, depth]} calls one;
{"declare": {name: value}} declares parameters, {"parameters": [names]} tells their values.
"""
import importlib
import json
import sys
import threading
import time

import rclpy
from rcl_interfaces.srv import ListParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy


def message_class(name):
    package, folder, message = name.split("/")
    return getattr(importlib.import_module(f"{package}.{folder}"), message)


def answer(value):
    print(json.dumps(value), flush=True)


def give_back(request, response):
    response.result.names = request.prefixes
    response.result.prefixes = [str(request.depth)]
    return response


def call(node, clients, name, prefixes, depth):
    is_new = name not in clients
    if is_new:
        clients[name] = node.create_client(ListParameters, name)
    if not clients[name].wait_for_service(timeout_sec=20):
        return {"error": "no service"}
    if is_new:
        # The server may not have found this client yet, which nobody tells; Cyclone DDS then drops its first request.
        time.sleep(0.5)
    done = threading.Event()
    future = clients[name].call_async(ListParameters.Request(prefixes=prefixes, depth=depth))
    future.add_done_callback(lambda _: done.set())
    if not done.wait(timeout=10):
        return {"error": "no answer"}
    result = future.result().result
    return {"names": list(result.names), "prefixes": list(result.prefixes)}


def main():
    rclpy.init()
    node = Node("rclpy_peer")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    threading.Thread(target=executor.spin, daemon=True).start()
    clients = {}
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
        elif "serve" in command:
            node.create_service(ListParameters, command["serve"], give_back)
            answer({"serves": command["serve"]})
        elif "call" in command:
            answer(call(node, clients, *command["call"]))
        elif "declare" in command:
            for name, value in command["declare"].items():
                node.declare_parameter(name, value)
            answer({"declared": len(command["declare"])})
        elif "parameters" in command:
            values = {name: node.get_parameter(name).value for name in command["parameters"]}
            answer({name: list(value) if hasattr(value, "tolist") else value for name, value in values.items()})
        elif "graph" in command:
            infos = node.get_publishers_info_by_topic(command["graph"])
            answer({
                "nodes": [namespace.rstrip("/") + "/" + name for name, namespace in node.get_node_names_and_namespaces()],
                "publishers": [[info.node_name, info.topic_type] for info in infos],
            })


main()
