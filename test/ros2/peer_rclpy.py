"""A ROS 2 node that sends back what it hears: what comes back went through ROS's own types.

Reads one JSON line a command from standard input, answers with one JSON line:
{"echo": [topic, back, type, reliable]} subscribes and publishes; {"graph": topic} tells who is there;
{"serve": name} offers a service that answers with what it is asked; {"call": [name, prefixes, depth]} calls one;
{"act": name} offers an action that counts to the goal's order; {"send": [name, order, feedback]} sends a goal,
cancels it after so much feedback where that is not 0, and waits for its result;
{"declare": {name: value}} declares parameters, {"parameters": [names]} tells their values.
"""
import importlib
import json
import sys
import threading
import time

import rclpy
from rcl_interfaces.srv import ListParameters
from rclpy.action import ActionClient, ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from test_msgs.action import Fibonacci

# Orders with a meaning of their own; what is negative is refused.
ABORTED, ENDLESS, STUBBORN = 101, 102, 103


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


def count(goal):
    order = goal.request.order
    sequence = []
    while len(sequence) < order:
        sequence.append(len(sequence))
        goal.publish_feedback(Fibonacci.Feedback(sequence=sequence))
        if order == ABORTED and len(sequence) == 2:
            goal.abort()
            break
        if order in (ENDLESS, STUBBORN):
            # Its end is another one's to say.
            while not goal.is_cancel_requested:
                time.sleep(0.01)
            goal.canceled()
            break
    else:
        goal.succeed()
    return Fibonacci.Result(sequence=sequence)


def act(node, name):
    return ActionServer(
        node, Fibonacci, name, count,
        goal_callback=lambda goal: GoalResponse.REJECT if goal.order < 0 else GoalResponse.ACCEPT,
        cancel_callback=lambda goal: CancelResponse.REJECT if goal.request.order == STUBBORN else CancelResponse.ACCEPT,
        callback_group=ReentrantCallbackGroup(),
    )


def answered(ask):
    """Asks again until there is an answer: as above, the first request to each service of an action may be dropped."""
    while True:
        done = threading.Event()
        future = ask()
        future.add_done_callback(lambda _, done=done: done.set())
        if done.wait(timeout=2):
            return future.result()


def send(node, name, order, feedback):
    client = ActionClient(node, Fibonacci, name)
    if not client.wait_for_server(timeout_sec=20):
        return {"error": "no server"}
    heard, complete = [], threading.Event()

    def hear(message):
        heard.append(list(message.feedback.sequence))
        if len(heard) == feedback:
            complete.set()

    goal = answered(lambda: client.send_goal_async(Fibonacci.Goal(order=order), feedback_callback=hear))
    if not goal.accepted:
        return {"accepted": False}
    if feedback > 0:
        complete.wait(timeout=20)
        answered(goal.cancel_goal_async)
    answer = answered(goal.get_result_async)
    client.destroy()
    return {"accepted": True, "heard": heard, "status": answer.status, "sequence": list(answer.result.sequence)}


def main():
    rclpy.init()
    node = Node("rclpy_peer")
    # A goal in work leaves a thread to what comes meanwhile.
    executor = MultiThreadedExecutor(num_threads=4)
    executor.add_node(node)
    threading.Thread(target=executor.spin, daemon=True).start()
    clients = {}
    actions = []
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
        elif "act" in command:
            actions.append(act(node, command["act"]))
            answer({"acts": command["act"]})
        elif "send" in command:
            answer(send(node, *command["send"]))
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
